#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"
#include "server/events/deed.hpp"
#include "server/registry/limits.hpp"
#include "server/store/store.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Names for devices. A group is a selector or a list of ids; who is in it is looked up when somebody asks (`group=NAME` in a selector), never copied.
namespace fleet::registry {

inline constexpr std::size_t kGroupIdsMax = 100'000;
inline constexpr std::int64_t kGroupsMax = 1'000;

struct Group {
  std::string name;
  std::optional<std::string> selector;  ///< nothing: a list
  std::int64_t list = 0;                ///< 0: a selector
  std::int64_t devices = 0;             ///< ids in the list
  std::optional<Digest> digest;         ///< of the list
  std::string created_by;
  SysTime created_at{}, changed_at{};
  std::int64_t revision = 1;
};

/// A selector as somebody writes it now, with versions in place of aliases and with what its groups mean.
/// @errors bad_input (codes `bad_selector`, `unknown_group`)
[[nodiscard]] Result<Selector> read_selector(db::Connection& reader, std::string_view text);
/// The same for who is not told which groups there are: one that is not there fits nobody. @errors bad_input (`bad_selector`)
[[nodiscard]] Result<Selector> read_question(db::Connection& reader, std::string_view text);
/// The text under which it is kept, with versions in place of aliases: what was kept does not change when an alias moves. @errors as read_selector
[[nodiscard]] Result<std::string> kept_text(db::Connection& reader, std::string_view text);
/// One that was kept: a group that is gone fits nobody. @errors bad_input (`bad_selector`)
[[nodiscard]] Result<Selector> read_kept_selector(db::Connection& reader, std::string_view text);
/// The groups whose lists have this id, whether or not there is such a device. One look-up by the id: it grows with no list and no fleet.
[[nodiscard]] Result<std::set<std::string>> load_lists(db::Connection& reader, std::string_view device_id);

/// @errors not_found (code `unknown_group`)
[[nodiscard]] Result<Group> load_group(db::Connection& reader, std::string_view name);
/// By name, after `after`, those that `limits` cover; at most `limit`.
[[nodiscard]] Result<std::vector<Group>> list_groups(db::Connection& reader, Limits const& limits, std::string_view after, int limit);
/// Whether somebody with `limits` may know of it: its name or its own words select nobody beyond them, and it asks for no other
/// model.
[[nodiscard]] bool covers(Limits const& limits, Group const& group);
/// Ids of a list after `after`, in order, each with whether there is such a device: `{"id","known"}`.
[[nodiscard]] Result<std::vector<std::pair<std::string, bool>>> list_group_ids(db::Connection& reader, Group const& group, std::string_view after, int limit);
/// How many ids of a list are of no device. Walks the list: not for an io thread.
[[nodiscard]] Result<std::int64_t> count_unknown(db::Connection& reader, Group const& group);
/// The object `group` of the API, without what must be counted.
[[nodiscard]] std::string group_json(Group const& group);

/// What a group is to become.
struct GroupSpec {
  std::string name;
  std::optional<std::string> selector;
  std::vector<std::string> ids;  ///< of a list: sorted, without repeats
};
/// @param must_be_new  refuse where the name is taken; otherwise where it is not
/// @param revision     that it must still have; nothing: any
struct GroupChange {
  bool must_be_new = false;
  std::optional<std::int64_t> revision = {};
};
/// Writes the list in pieces, so that nobody waits long for the writer, then moves the group to it at once: who is interrupted leaves the group as it was.
/// Every device decides anew. Blocks: worker threads only.
/// @errors bad_input (`bad_selector`, `unknown_group`), not_found (`unknown_group`), precondition, conflict (`group_exists`, `group_cycle`, `too_many_groups`)
[[nodiscard]] Result<Group> put_group(store::Store& store, GroupSpec const& spec, GroupChange const& change, events::Deed const& deed);
/// @errors conflict (`group_in_use`) that names what uses it; not_found (`unknown_group`)
[[nodiscard]] Result<void> delete_group(store::Tx& tx, Group const& group, events::Deed const& deed);
/// Forgets ids of lists that no group has and that nobody writes any more: at most `limit`. @returns whether there may be more
[[nodiscard]] Result<bool> forget_lists(store::Tx& tx, SysTime now, int limit);

}  // namespace fleet::registry
