#include "server/catalog/sets.hpp"

#include "core/trust/evidence.hpp"
#include "server/catalog/models.hpp"
#include "server/catalog/queries.hpp"
#include "server/registry/versions.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <optional>
#include <set>

namespace fleet::catalog {
namespace json = boost::json;
namespace {

std::string name_of(wire::Member const& member) { return member.model + "@" + member.version; }

std::set<std::string> hardware_of(wire::Release const& release) {
  std::set<std::string> out;
  for (auto const& variant : release.variants) out.insert(variant.hardware.begin(), variant.hardware.end());
  return out;
}

/// What every member so far has a variant for.
void keep_common(std::optional<std::set<std::string>>& common, std::set<std::string> const& hardware) {
  if (!common) common = hardware;
  else std::erase_if(*common, [&](auto const& name) { return !hardware.contains(name); });
}

Error refusal(Kind kind, std::string code, std::size_t index, std::string detail, std::string hint) {
  return {kind, std::move(code), detail, std::move(hint), {{fmt::format("/members/{}", index), detail}}};
}

}  // namespace

Result<void> check_kind(Model const& model, wire::Release const& wanted, bool brings_evidence) {
  bool const is_set = wanted.is_set();
  if (!model.kind.empty() && (model.kind == "set") != is_set)
    return Error{Kind::conflict, "other_kind",
                 fmt::format("{} is a {}: its releases have {}", model.name, model.kind, model.kind == "set" ? "members" : "files"),
                 is_set ? "give the set a name of its own: fleetctl model create NAME" : "files are the members': publish them as releases of their models"};
  if (!is_set) return {};
  FLEET_TRY(auto const policy, trust::decode_evidence_policy(model.evidence));
  if (policy.demands.empty() && !brings_evidence) return {};
  return Error{Kind::unprocessable, "evidence_of_a_set", fmt::format("evidence is of files, and set {} has none of its own", model.name),
               "demand and attach it where the files are: at the members' models"};
}

Result<std::vector<std::int64_t>> resolve_members(db::Connection& reader, wire::Release& wanted) {
  std::vector<std::int64_t> out;
  std::optional<std::set<std::string>> common;
  for (std::size_t i = 0; i < wanted.members.size(); ++i) {
    auto& member = wanted.members[i];
    FLEET_TRY(member.version, registry::version_named(reader, member.model, member.version));
    auto row = reader.prepare(kReleaseOf);
    FLEET_TRY(bool const found, row.bind_all(member.model, member.version).step());
    if (!found) return refusal(Kind::not_found, "unknown_member", i, fmt::format("member {} is not known here", name_of(member)), "publish it first");
    auto const state = row.text(5);
    if (state == "revoked")
      return refusal(Kind::conflict, "member_revoked", i, fmt::format("member {} is revoked", name_of(member)), "take a release that stands");
    if (state != "approved")
      return refusal(Kind::conflict, "member_not_approved", i, fmt::format("member {} is a {}", name_of(member), state),
                     fmt::format("fleetctl release approve {}", name_of(member)));
    auto const digest = row.digest(3);
    if (member.digest != Digest{} && member.digest != digest)
      return refusal(Kind::conflict, "member_changed", i, fmt::format("member {} has digest {}, {} was named", name_of(member), digest.hex(), member.digest.hex()),
                     "a release never changes: somebody looked at another server");
    member.digest = digest;
    FLEET_TRY(auto const document, wire::decode_release(row.text_view(4)));
    if (document.is_set())
      return refusal(Kind::unprocessable, "member_is_set", i, fmt::format("member {} is a set itself", name_of(member)), "name its members here");
    keep_common(common, hardware_of(document));
    if (common->empty())
      return refusal(Kind::unprocessable, "no_common_hardware", i,
                     fmt::format("no hardware has a variant of {} and of the members before it: no device could take the set", name_of(member)),
                     "publish members with variants for the same hardware");
    out.push_back(row.int64(0));
  }
  return out;
}

Result<void> keep_members(store::Tx& tx, std::int64_t release_n, wire::Release const& set, std::vector<std::int64_t> const& members) {
  for (std::size_t i = 0; i < members.size(); ++i) {
    auto const& after = set.members[i].after;
    FLEET_CHECK(tx.prepare(kInsertMember)
                    .bind_all(release_n, static_cast<std::int64_t>(i), members[i], set.members[i].model, json::serialize(json::array(after.begin(), after.end())))
                    .run());
  }
  return {};
}

Result<void> check_members_stand(db::Connection& reader, std::int64_t release_n, std::string_view name) {
  auto rows = reader.prepare(kMembersOf);
  rows.bind(1, release_n);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    if (rows.text_view(4) != "revoked") continue;
    return Error{Kind::conflict, "member_revoked", fmt::format("{}@{}, a member of {}, is revoked", rows.text(0), rows.text(1), name),
                 "publish a set of releases that stand"};
  }
}

Result<std::string> members_json(db::Connection& reader, std::int64_t release_n, std::string_view only_model) {
  json::array out;
  auto rows = reader.prepare(kMembersOf);
  rows.bind(1, release_n);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return json::serialize(out);
    json::object one{{"model", rows.text_view(0)}, {"version", rows.text_view(1)}, {"digest", rows.digest(2).hex()}, {"after", json::parse(rows.text(3))}};
    if (only_model.empty() || only_model == rows.text_view(0)) one["state"] = rows.text_view(4);
    out.push_back(std::move(one));
  }
}

Result<std::string> sets_json(db::Connection& reader, std::int64_t release_n, std::string_view only_model) {
  json::array out;
  auto rows = reader.prepare(kSetsOf);
  rows.bind_all(release_n, only_model);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return json::serialize(out);
    out.push_back(json::object{{"model", rows.text_view(0)}, {"version", rows.text_view(1)}, {"state", rows.text_view(2)}});
  }
}

}  // namespace fleet::catalog
