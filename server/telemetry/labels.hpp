#pragma once

#include "core/wire/device.hpp"
#include "server/events/deed.hpp"
#include "server/store/store.hpp"

#include <string>
#include <vector>

namespace fleet::telemetry {

/// Labels by which samples are kept apart, beside model, version and hardware: `site`, `region`. Each multiplies the series by its values.
inline constexpr std::size_t kLabelsMax = 4;

struct ChosenLabels {
  std::vector<std::string> names;  ///< sorted
  std::int64_t revision = 0;       ///< 0: nobody ever chose any
};
[[nodiscard]] Result<ChosenLabels> load_chosen(db::Connection& reader);
/// Their names alone.
[[nodiscard]] Result<std::vector<std::string>> load_labels(db::Connection& reader);
/// What comes from now on is kept by them; what was kept stays as it is. The deed is audited.
/// @param names  in any order
/// @errors bad_input (`bad_label`: too many, twice, or a name that no label may have, or that means a release's)
[[nodiscard]] Result<void> set_labels(store::Tx& tx, std::vector<std::string> names, events::Deed const& deed);
/// How a series keeps samples apart.
struct KeptBy {
  std::string labels = "{}";  ///< of the device: JSON, in the order of the names
  std::string names = {};     ///< theirs, between commas
};
[[nodiscard]] KeptBy kept_by(std::vector<std::string> const& names, wire::Labels const& device);
/// Between commas.
[[nodiscard]] std::string joined(std::vector<std::string> const& names);

}  // namespace fleet::telemetry
