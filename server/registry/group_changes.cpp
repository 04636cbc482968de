#include "server/registry/groups.hpp"

#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "server/events/audit.hpp"
#include "server/registry/queries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <span>

namespace fleet::registry {
namespace {

/// Ids a transaction: some ten milliseconds of the writer.
constexpr std::size_t kIdsAPiece = 2'000;
/// Groups within groups: bounded, so that a decision about a device asks a bounded number of questions.
constexpr int kDepthMax = 8;
constexpr std::size_t kWithinMax = 32;
constexpr auto kWritten = std::chrono::hours(24);  ///< nobody writes a list for so long
constexpr std::size_t kUsesShown = 5;

using Definitions = std::map<std::string, Selector, std::less<>>;

Result<Definitions> load_definitions(db::Connection& reader) {
  Definitions out;
  auto rows = reader.prepare(queries::kGroups);
  rows.bind(1, "");
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    if (rows.is_null(1)) continue;
    FLEET_TRY(auto selector, Selector::parse(rows.text_view(1)));
    out.emplace(rows.text(0), std::move(selector));
  }
}

/// Counts the groups that stand in `name`, each as often as it stands there. @param way  those that lead here
Result<void> walk(Definitions const& all, std::string const& name, std::vector<std::string>& way, std::size_t& within) {
  if (std::find(way.begin(), way.end(), name) != way.end()) {
    auto circle = way;
    circle.push_back(name);
    return Error{Kind::conflict, "group_cycle", fmt::format("group {} would stand in itself: {}", name, fmt::join(circle, " -> ")),
                 "a group's selector may name other groups, never itself by way of them"};
  }
  way.push_back(name);
  if (way.size() > kDepthMax || ++within > kWithinMax)
    return Error{Kind::conflict, "group_too_deep", fmt::format("group {} would hold more than {} groups, or them more than {} deep", way.front(), kWithinMax, kDepthMax),
                 "say more of it in one selector, or in a list of ids"};
  auto const found = all.find(name);
  if (found != all.end())
    for (auto const& inner : found->second.group_names()) FLEET_CHECK(walk(all, inner, way, within));
  way.pop_back();
  return {};
}

/// Any group may have become too deep by this one: groups are few.
Result<void> check_nesting(db::Connection& reader, std::string const& name, Selector const& selector) {
  FLEET_TRY(auto all, load_definitions(reader));
  all.insert_or_assign(name, selector);
  for (auto const& [group, definition] : all) {
    std::vector<std::string> way;
    std::size_t within = 0;
    FLEET_CHECK(walk(all, group, way, within));
  }
  return {};
}

Digest digest_of(std::vector<std::string> const& ids) {
  crypto::Sha256 hash;
  for (auto const& id : ids) {
    hash.update(as_bytes(id));
    hash.update(as_bytes(std::string_view("\n")));
  }
  return hash.finish();
}

Result<std::int64_t> begin_list(store::Tx& tx, SysTime now) {
  auto add = tx.prepare(queries::kAddList);
  FLEET_CHECK(add.bind_all(to_unix_ms(now)).step());
  auto const list = add.int64(0);
  FLEET_CHECK(add.run());
  return list;
}

Result<void> add_ids(store::Tx& tx, std::int64_t list, std::span<std::string const> ids) {
  for (auto const& id : ids) FLEET_CHECK(tx.prepare(queries::kAddListId).bind_all(list, id).run());
  return {};
}

/// A list that nobody wants any more is forgotten at the next round of upkeep.
Result<void> give_up(store::Tx& tx, std::int64_t list) { return tx.prepare(queries::kGiveUpList).bind_all(list).run(); }

Result<std::int64_t> write_list(store::Store& store, std::vector<std::string> const& ids, SysTime now) {
  FLEET_TRY(auto const list, store.write_value<std::int64_t>(store::Lane::upkeep, [&](store::Tx& tx) { return begin_list(tx, now); }));
  for (std::span<std::string const> rest(ids); !rest.empty();) {
    auto const piece = rest.first(std::min(kIdsAPiece, rest.size()));
    FLEET_CHECK(store.write_wait(store::Lane::upkeep, [&](store::Tx& tx) { return add_ids(tx, list, piece); }));
    rest = rest.subspan(piece.size());
  }
  return list;
}

/// What the log keeps of a group: a list by its digest.
std::string said(Group const& group) { return group_json(group); }

/// Nothing where the group may become what is asked.
Result<std::optional<Group>> check_change(db::Connection& connection, GroupSpec const& spec, GroupChange const& change) {
  FLEET_CHECK(check_id("group", spec.name));
  auto before = load_group(connection, spec.name);
  if (!before && before.error().kind != Kind::not_found) return before.error();
  if (!before && !change.must_be_new) return before.error();
  if (before && change.must_be_new)
    return Error{Kind::conflict, "group_exists", fmt::format("group {} exists already", spec.name), fmt::format("change it: fleetctl group set {}", spec.name)};
  if (before && change.revision && *change.revision != before->revision)
    return Error{Kind::precondition, "changed_meanwhile", fmt::format("group {} was changed meanwhile", spec.name), "read it again, then repeat"};
  if (spec.selector) {
    FLEET_TRY(auto const selector, read_selector(connection, *spec.selector));
    FLEET_CHECK(check_nesting(connection, spec.name, selector));
  }
  return before ? std::optional(*std::move(before)) : std::nullopt;
}

Result<void> check_room(db::Connection& connection) {
  auto row = connection.prepare(queries::kCountGroups);
  FLEET_CHECK(row.step());
  if (row.int64(0) < kGroupsMax) return {};
  return Error{Kind::conflict, "too_many_groups", fmt::format("there are {} groups already", kGroupsMax), "fleetctl group delete NAME"};
}

bool is_there(Group const& before, GroupSpec const& spec, Digest const& digest) {
  return spec.selector ? before.selector == spec.selector : before.digest == std::optional(digest) && !before.selector;
}

Result<Group> move_group(store::Tx& tx, GroupSpec const& spec, GroupChange const& change, std::int64_t list, Digest const& digest, events::Deed const& deed) {
  FLEET_TRY(auto const before, check_change(tx.connection(), spec, change));
  if (!before) FLEET_CHECK(check_room(tx.connection()));
  auto const kept_list = spec.selector ? std::optional<std::int64_t>() : std::optional(list);
  auto const kept_digest = spec.selector ? std::optional<Digest>() : std::optional(digest);
  auto put = tx.prepare(before ? queries::kChangeGroup : queries::kAddGroup);
  put.bind_all(spec.name, spec.selector, kept_list, static_cast<std::int64_t>(spec.ids.size()), kept_digest, to_unix_ms(deed.at));
  if (!before) put.bind(7, deed.actor);
  FLEET_CHECK(put.run());
  if (before && before->list != 0) FLEET_CHECK(give_up(tx, before->list));
  FLEET_TRY(auto after, load_group(tx.connection(), spec.name));
  FLEET_CHECK(events::record(tx, deed, before ? "group.changed" : "group.created", "group/" + spec.name, before ? said(*before) : std::string(), said(after)));
  tx.raise_policy_epoch();
  return after;
}

}  // namespace

Result<Group> put_group(store::Store& store, GroupSpec const& asked, GroupChange const& change, events::Deed const& deed) {
  auto spec = asked;
  if (spec.selector) {
    FLEET_TRY(spec.selector, kept_text(store.reader(), *asked.selector));
  }
  FLEET_TRY(auto const before, check_change(store.reader(), spec, change));  // before a long list is written for nothing
  auto const digest = digest_of(spec.ids);
  if (before && is_there(*before, spec, digest)) return *before;
  std::int64_t list = 0;
  if (!spec.selector) {
    FLEET_TRY(list, write_list(store, spec.ids, deed.at));
  }
  auto moved = store.write_value<Group>(store::Lane::verbs, [&](store::Tx& tx) { return move_group(tx, spec, change, list, digest, deed); });
  if (!moved && list != 0) static_cast<void>(store.write_wait(store::Lane::upkeep, [&](store::Tx& tx) { return give_up(tx, list); }));  // else a day later
  return moved;
}

Result<void> delete_group(store::Tx& tx, Group const& group, events::Deed const& deed) {
  std::vector<std::string> uses;
  auto rows = tx.prepare(queries::kGroupUses);
  rows.bind(1, to_unix_ms(deed.at));
  while (uses.size() <= kUsesShown) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    auto const selector = Selector::parse(rows.text_view(2));
    if (!selector) continue;
    auto const names = selector->group_names();
    if (std::find(names.begin(), names.end(), group.name) != names.end()) uses.push_back(fmt::format("{} {}", rows.text_view(0), rows.text_view(1)));
  }
  if (!uses.empty()) {
    bool const more = uses.size() > kUsesShown;
    if (more) uses.pop_back();
    return Error{Kind::conflict, "group_in_use", fmt::format("group {} is used by {}{}", group.name, fmt::join(uses, ", "), more ? " and others" : ""),
                 "revoke tokens, end what runs, and model set --unfollow what follows an alias; a rollout that was started says what its devices run until a later one of all devices has completed"};
  }
  FLEET_CHECK(tx.prepare(queries::kDeleteGroup).bind_all(group.name).run());
  if (group.list != 0) FLEET_CHECK(give_up(tx, group.list));
  FLEET_CHECK(events::record(tx, deed, "group.deleted", "group/" + group.name, said(group)));
  tx.raise_policy_epoch();
  return {};
}

Result<bool> forget_lists(store::Tx& tx, SysTime now, int limit) {
  std::int64_t list = 0;
  {
    auto row = tx.prepare(queries::kListToForget);
    FLEET_TRY(bool const found, row.bind(1, to_unix_ms(now - kWritten)).step());
    if (!found) return false;
    list = row.int64(0);
  }
  FLEET_TRY(auto const forgotten, tx.prepare(queries::kForgetListIds).bind_all(list, limit).affected());
  if (forgotten < limit) FLEET_CHECK(tx.prepare(queries::kForgetList).bind_all(list).run());
  return true;
}

}  // namespace fleet::registry
