#pragma once

#include "server/registry/selector.hpp"
#include "server/store/db/db.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace fleet::registry {

/// What of the fleet somebody may see and change: all of it, or one model, or the devices of a selector, or both. Whatever lists or shows takes it,
/// so that nothing is shown by forgetting to ask.
struct Limits {
  std::string model;                ///< empty: all
  std::string selector;             ///< as it was written; empty: all devices
  std::optional<Selector> devices;  ///< `selector`, read

  /// @errors bad_input (code `bad_selector`)
  [[nodiscard]] static Result<Limits> read(db::Connection& reader, std::string model, std::string selector);
  [[nodiscard]] bool any() const { return !model.empty() || devices; }
  [[nodiscard]] bool covers_model(std::string_view name) const { return model.empty() || model == name; }
  /// `view.running` and `view.lists` must be filled in where the selector asks for them.
  [[nodiscard]] bool covers(DeviceView const& view) const { return !devices || devices->matches(view); }
  /// True where `wanted` selects no device beyond them, by its own words.
  [[nodiscard]] bool cover(Selector const& wanted) const { return !devices || wanted.is_within(*devices); }
  /// Whether a question says nothing of other models: each of its conditions on `running`, and of the groups that it names, names versions of this one.
  [[nodiscard]] bool may_ask(Selector const& question) const;
};

/// Of the server itself, and of whoever has no limits.
inline Limits const kUnlimited;

}  // namespace fleet::registry
