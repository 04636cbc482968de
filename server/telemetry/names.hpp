#pragma once

#include "core/base/time.hpp"
#include "server/store/db/db.hpp"

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
[[nodiscard]] std::string metric_json(Metric const& metric);

}  // namespace fleet::telemetry
