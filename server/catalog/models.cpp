#include "server/catalog/models.hpp"

#include "core/base/names.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/events/audit.hpp"
#include "server/catalog/queries.hpp"
#include "server/registry/versions.hpp"
#include "server/signing/repository.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::catalog {
namespace json = boost::json;
namespace {

Model read_row(db::Statement const& row) {
  Model model{row.text(0), static_cast<int>(row.int64(1)), {}, row.int64(3), from_unix_ms(row.int64(4)), row.text(5), row.text(6)};
  if (auto const protection = wire::parse_protection(row.text_view(7))) model.protection = *protection;  // the column takes no other
  auto const aliases = json::parse(row.text(2));  // our own text
  for (auto const& alias : aliases.as_object()) model.aliases.emplace(std::string(alias.key()), std::string(alias.value().as_string()));
  return model;
}

Result<void> read_standing(db::Connection& reader, Model& model) {
  auto rows = reader.prepare(kStandingOf);
  rows.bind(1, model.name);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return {};
    model.standing.push_back({rows.text(0), rows.text(1), rows.text(2)});
  }
}

Result<void> save_standing(store::Tx& tx, Model const& model) {
  FLEET_CHECK(tx.prepare(kDropStanding).bind_all(model.name).run());
  for (auto const& one : model.standing) FLEET_CHECK(tx.prepare(kAddStanding).bind_all(model.name, one.alias, one.selector, one.policy).run());
  return {};
}

Error no_alias_name(std::string const& name) {
  return {Kind::bad_input, "bad_name", fmt::format("'{}' is no name for an alias", name.substr(0, 64)), "an alias is named as a version may be, and not latest, current or previous"};
}

/// An alias is no version and points at one that is there; what it is pointed at by another name is kept as the version.
Result<void> settle_aliases(store::Tx& tx, Model& model) {
  for (auto& [name, version] : model.aliases) {
    if (!check_version_name(name)) return no_alias_name(name);
    FLEET_TRY(version, registry::version_named(tx.connection(), model.name, version));
    auto is_version = tx.prepare(kReleaseOf);
    FLEET_TRY(bool const taken, is_version.bind_all(model.name, name).step());
    if (taken) return Error{Kind::conflict, "alias_is_version", fmt::format("{}@{} is a release: no alias can have its name", model.name, name), "take another name"};
    auto row = tx.prepare(kReleaseOf);
    FLEET_TRY(bool const found, row.bind_all(model.name, version).step());
    if (!found) return Error{Kind::not_found, "unknown_release", fmt::format("alias {}: there is no release {}@{}", name, model.name, version)};
  }
  std::sort(model.standing.begin(), model.standing.end());
  for (auto const& one : model.standing)
    if (!check_version_name(one.alias)) return no_alias_name(one.alias);
  return {};
}

Result<void> note(store::Tx& tx, events::Deed const& deed, std::string_view action, Model const& model, std::string before) {
  return events::record(tx, deed, std::string(action), "model/" + model.name, std::move(before), model_json(model));
}

}  // namespace

std::string model_json(Model const& model) {
  json::array standing;
  for (auto const& one : model.standing) standing.push_back(json::object{{"alias", one.alias}, {"selector", one.selector}, {"policy", json::parse(one.policy)}});  // our own text
  json::object out{{"name", model.name},
                   {"approvals_required", model.approvals_required},
                   {"aliases", wire::text_object(model.aliases)},
                   {"created_at", to_rfc3339(model.created_at)},
                   {"standing", std::move(standing)},
                   {"signers", json::object()},
                   {"demands", json::array()},
                   {"protected", model.protection == wire::Protection::none ? json::value(nullptr) : json::value(wire::protection_name(model.protection))},
                   {"kind", model.kind.empty() ? json::value(nullptr) : json::value(model.kind)}};
  auto const evidence = json::parse(model.evidence);  // our own text
  for (auto const& member : evidence.as_object()) out[member.key()] = member.value();
  return json::serialize(out);
}

Result<Model> load_model(db::Connection& reader, std::string_view name) {
  auto row = reader.prepare(kGetModel);
  FLEET_TRY(bool const found, row.bind(1, name).step());
  if (!found)
    return Error{Kind::not_found, "unknown_model", fmt::format("there is no model '{}'", name.substr(0, 64)),
                 fmt::format("fleetctl model create {}", name.substr(0, 64))};
  auto model = read_row(row);
  FLEET_CHECK(read_standing(reader, model));
  return model;
}

Result<std::vector<Model>> list_models(db::Connection& reader, std::string_view only, std::string_view kind, std::string_view after, int limit) {
  std::vector<Model> out;
  auto rows = reader.prepare(kListModels);
  rows.bind_all(after, limit, only, kind);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    auto model = read_row(rows);
    FLEET_CHECK(read_standing(reader, model));
    out.push_back(std::move(model));
  }
}

Result<Model> create_model(store::Tx& tx, signing::KeyRing& keys, Model wanted, events::Deed const& deed) {
  FLEET_CHECK(check_model_name(wanted.name));
  if (load_model(tx.connection(), wanted.name))
    return Error{Kind::conflict, "model_exists", fmt::format("model {} exists already", wanted.name), "change it with fleetctl model set"};
  FLEET_CHECK(settle_aliases(tx, wanted));
  FLEET_CHECK(tx.prepare(kInsertModel)
                  .bind_all(wanted.name, wanted.approvals_required, json::serialize(wire::text_object(wanted.aliases)), to_unix_ms(deed.at), wanted.evidence, wire::protection_name(wanted.protection))
                  .run());
  FLEET_CHECK(save_standing(tx, wanted));
  FLEET_CHECK(signing::add_model_role(tx, keys, wanted.name, deed.at));
  FLEET_TRY(auto made, load_model(tx.connection(), wanted.name));
  FLEET_CHECK(note(tx, deed, "model.created", made, ""));
  return made;
}

Result<Model> change_model(store::Tx& tx, Model wanted, events::Deed const& deed) {
  FLEET_TRY(auto const before, load_model(tx.connection(), wanted.name));
  FLEET_CHECK(settle_aliases(tx, wanted));
  if (before.approvals_required == wanted.approvals_required && before.aliases == wanted.aliases && before.evidence == wanted.evidence &&
      before.standing == wanted.standing && before.protection == wanted.protection)
    return before;
  FLEET_CHECK(tx.prepare(kUpdateModel).bind_all(wanted.name, wanted.approvals_required, json::serialize(wire::text_object(wanted.aliases)), wanted.evidence, wire::protection_name(wanted.protection)).run());
  FLEET_CHECK(save_standing(tx, wanted));
  FLEET_TRY(auto changed, load_model(tx.connection(), wanted.name));
  FLEET_CHECK(note(tx, deed, "model.changed", changed, model_json(before)));
  return changed;
}

}  // namespace fleet::catalog
