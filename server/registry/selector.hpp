#pragma once

#include "core/base/result.hpp"
#include "core/wire/device.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::registry {

/// What a selector looks at: pointers into whatever has it (a Device, DeviceFacts, an enrolment that waits), made for one question. The maps may
/// be null: then the device has none.
struct DeviceView {
  std::string_view id;
  std::string_view hardware;
  std::string_view state;
  wire::Labels const* labels = nullptr;
  std::map<std::string, std::string> const* running = nullptr;  ///< model -> version
  std::set<std::string> const* lists = nullptr;                 ///< the groups whose lists have its id (groups.hpp)
};

/// One condition. `=` is `in` with one value, `!=` is `not_in` with one.
struct Condition {
  enum class Op { in, not_in, exists, absent };
  std::string key;  ///< a label, or one of the fields hardware, state, id, running, group
  Op op = Op::exists;
  std::vector<std::string> values;  ///< sorted, without repeats; empty for exists and absent
  auto operator<=>(Condition const&) const = default;
};

/// A question about devices: comma-separated conditions, all of which hold (docs/api.md, Selectors). A label that is not there
/// fulfils `!=`, `notin` and `!k`.
class Selector {
public:
  static constexpr std::size_t kBytesMax = 64 * 1024;
  static constexpr std::size_t kGroupsMax = 64;
  /// What the groups mean that a selector names: a selector; null where it is a list of ids.
  using Groups = std::map<std::string, std::shared_ptr<Selector const>, std::less<>>;
  Selector() = default;
  /// @param conditions  their values sorted, without repeats
  explicit Selector(std::vector<Condition> conditions) : conditions_(std::move(conditions)) {}
  /// `k=v`, `k!=v`, `k in (a,b)`, `k notin (a,b)`, `k`, `!k`; a value may stand in double quotes. At most kBytesMax and 64 conditions; a list has
  /// at most 2,000 values. It names at most kGroupsMax groups, and what those mean is not known yet: `registry::read_selector` (groups.hpp) looks it up.
  /// @errors bad_input (code `bad_selector`) with the position, counted from 1
  [[nodiscard]] static Result<Selector> parse(std::string_view text);

  /// As `parse` reads it.
  [[nodiscard]] std::string text() const;
  /// A condition on a group whose meaning is not known fits no device.
  [[nodiscard]] bool matches(DeviceView const& device) const;
  /// True where its own conditions say that it never selects a device outside `scope`: each condition of `scope` follows from one of the same key
  /// here. Judged by the words alone: labels that only happen to fit are no proof, they may change.
  [[nodiscard]] bool is_within(Selector const& scope) const;
  [[nodiscard]] std::vector<Condition> const& conditions() const { return conditions_; }
  /// True when it, or a group that it names, asks what devices run, so that a caller need not load that otherwise.
  [[nodiscard]] bool asks_running() const;
  /// True when it asks for groups, so that a caller need not load which lists a device is in otherwise.
  [[nodiscard]] bool asks_groups() const;
  /// The groups that its conditions name.
  [[nodiscard]] std::vector<std::string> group_names() const;
  [[nodiscard]] Groups const& groups() const { return groups_; }
  void set_groups(Groups groups) { groups_ = std::move(groups); }
  /// The one value a key must have, where a condition says so: what a query may narrow by.
  [[nodiscard]] std::optional<std::string> required_value(std::string_view key) const;
  /// The same for the first label with one required value.
  [[nodiscard]] std::optional<std::pair<std::string, std::string>> required_label() const;
  /// A group that is a list and that all its devices are in.
  [[nodiscard]] std::optional<std::string> required_list() const;

private:
  std::vector<Condition> conditions_;
  Groups groups_;
};

/// True for the names that are fields of a device and so cannot be labels.
[[nodiscard]] bool is_reserved_key(std::string_view key);

}  // namespace fleet::registry
