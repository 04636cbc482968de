#include "server/registry/groups.hpp"

#include "core/base/names.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/registry/queries.hpp"
#include "server/registry/versions.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::registry {
namespace {

namespace json = boost::json;

/// Deeper ones are refused when a group is made (group_changes.cpp).
constexpr int kDepthMax = 8;

Group read_group(db::Statement const& row) {
  Group out;
  out.name = row.text(0);
  out.selector = row.maybe_text(1);
  out.list = row.maybe_int64(2).value_or(0);
  out.devices = row.int64(3);
  if (!row.is_null(4)) out.digest = row.digest(4);
  out.created_by = row.text(5);
  out.created_at = from_unix_ms(row.int64(6));
  out.changed_at = from_unix_ms(row.int64(7));
  out.revision = row.int64(8);
  return out;
}

Result<std::optional<Group>> find_group(db::Connection& reader, std::string_view name) {
  auto row = reader.prepare(queries::kGroup);
  FLEET_TRY(bool const found, row.bind(1, name).step());
  return found ? std::optional(read_group(row)) : std::nullopt;
}

/// Gives a selector what its groups mean; those that are not there it is told nothing of.
Result<void> look_up(db::Connection& reader, Selector& selector, int depth) {
  if (depth > kDepthMax) return {};
  Selector::Groups groups;
  for (auto const& name : selector.group_names()) {
    FLEET_TRY(auto const group, find_group(reader, name));
    if (!group) continue;
    if (!group->selector) {
      groups.emplace(name, nullptr);
      continue;
    }
    FLEET_TRY(auto inner, Selector::parse(*group->selector));
    FLEET_CHECK(look_up(reader, inner, depth + 1));
    groups.emplace(name, std::make_shared<Selector const>(std::move(inner)));
  }
  selector.set_groups(std::move(groups));
  return {};
}

}  // namespace

Result<Selector> read_kept_selector(db::Connection& reader, std::string_view text) {
  FLEET_TRY(auto out, Selector::parse(text));
  FLEET_CHECK(look_up(reader, out, 0));
  return out;
}

Result<Selector> read_question(db::Connection& reader, std::string_view text) {
  FLEET_TRY(auto written, Selector::parse(text));
  FLEET_TRY(auto out, with_versions(reader, std::move(written)));
  FLEET_CHECK(look_up(reader, out, 0));
  return out;
}

Result<std::string> kept_text(db::Connection& reader, std::string_view text) {
  FLEET_TRY(auto const written, Selector::parse(text));
  FLEET_TRY(auto const read, read_selector(reader, text));
  FLEET_CHECK(check_versions(reader, read));
  if (read.conditions() == written.conditions()) return std::string(text);
  auto kept = read.text();
  FLEET_CHECK(Selector::parse(kept));  // a version may be longer than its alias
  return kept;
}

Result<Selector> read_selector(db::Connection& reader, std::string_view text) {
  FLEET_TRY(auto out, read_question(reader, text));
  for (auto const& name : out.group_names())
    if (!out.groups().contains(name))
      return Error{Kind::bad_input, "unknown_group", fmt::format("selector: there is no group '{}'", name), "fleetctl group list shows those there are"};
  return out;
}

Result<std::set<std::string>> load_lists(db::Connection& reader, std::string_view device_id) {
  std::set<std::string> out;
  auto rows = reader.prepare(queries::kListsOf);
  rows.bind(1, device_id);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.insert(rows.text(0));
  }
}

Result<Group> load_group(db::Connection& reader, std::string_view name) {
  FLEET_TRY(auto found, find_group(reader, name));
  if (found) return *std::move(found);
  return Error{Kind::not_found, "unknown_group", fmt::format("there is no group '{}'", name.substr(0, 128)), "fleetctl group list shows those there are"};
}

bool covers(Limits const& limits, Group const& group) {
  auto const words = Selector::parse(group.selector.value_or(""));
  if (!words || !limits.may_ask(*words)) return false;
  return limits.cover(Selector({{"group", Condition::Op::in, {group.name}}})) || (group.selector && limits.cover(*words));
}

Result<std::vector<Group>> list_groups(db::Connection& reader, Limits const& limits, std::string_view after, int limit) {
  std::vector<Group> out;
  auto rows = reader.prepare(queries::kGroups);
  rows.bind(1, after);
  while (out.size() < static_cast<std::size_t>(limit)) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    auto group = read_group(rows);
    if (covers(limits, group)) out.push_back(std::move(group));
  }
  return out;
}

Result<std::vector<std::pair<std::string, bool>>> list_group_ids(db::Connection& reader, Group const& group, std::string_view after, int limit) {
  std::vector<std::pair<std::string, bool>> out;
  auto rows = reader.prepare(queries::kIdsOfList);
  rows.bind_all(group.list, after, limit);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.emplace_back(rows.text(0), rows.int64(1) != 0);
  }
}

Result<std::int64_t> count_unknown(db::Connection& reader, Group const& group) {
  if (group.selector) return 0;
  auto row = reader.prepare(queries::kCountUnknown);
  FLEET_CHECK(row.bind(1, group.list).step());
  return row.int64(0);
}

std::string group_json(Group const& group) {
  return json::serialize(json::object{{"name", group.name},
                                      {"selector", wire::text_or_null(group.selector)},
                                      {"devices", group.selector ? json::value(nullptr) : json::value(group.devices)},
                                      {"sha256", group.digest ? json::value(group.digest->hex()) : json::value(nullptr)},
                                      {"created_by", group.created_by},
                                      {"created_at", to_rfc3339(group.created_at)},
                                      {"changed_at", to_rfc3339(group.changed_at)}});
}

}  // namespace fleet::registry
