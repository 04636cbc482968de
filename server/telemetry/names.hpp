#pragma once

#include "core/base/time.hpp"
#include "server/store/db/db.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::telemetry {

/// A name that devices sent samples by.
struct Metric {
  std::string model;  ///< empty: of the devices themselves
  std::string name;
  std::string type;  ///< counter, gauge, set, timing, histogram, distribution; empty: not known
  std::string unit;  ///< as the model's newest release says; empty: it does not
  SysTime seen{};    ///< within a day
};
/// By model and name, after (`model`, `name`).
/// @param of_model  empty: of all
[[nodiscard]] Result<std::vector<Metric>> list_metrics(db::Connection& reader, std::string const& of_model, std::string const& model, std::string const& name, int limit);
/// By the metric's name, as the model's newest release says; those that it says nothing of are left out.
using Units = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] Result<Units> load_units(db::Connection& reader, std::string const& model);
/// Of a kind on the wire; empty: not known.
[[nodiscard]] std::string type_of(std::string_view kind);
[[nodiscard]] std::string metric_json(Metric const& metric);

}  // namespace fleet::telemetry
