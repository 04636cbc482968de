#include "server/catalog/models.hpp"

#include "core/base/names.hpp"
#include "core/wire/json_pieces.hpp"
#include "server/events/audit.hpp"
#include "server/catalog/queries.hpp"
#include "server/signing/repository.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::catalog {
namespace json = boost::json;
namespace {

Model read_row(db::Statement const& row) {
  Model model{row.text(0), static_cast<int>(row.int64(1)), {}, row.int64(3), from_unix_ms(row.int64(4)), row.text(5), row.text(6)};
  auto const aliases = json::parse(row.text(2));  // our own text
  for (auto const& alias : aliases.as_object()) model.aliases.emplace(std::string(alias.key()), std::string(alias.value().as_string()));
  return model;
}

/// An alias points at a version that is there.
Result<void> check_aliases(store::Tx& tx, Model const& model) {
  for (auto const& [name, version] : model.aliases) {
    FLEET_CHECK(check_id("alias", name));
    auto row = tx.prepare(kReleaseOf);
    FLEET_TRY(bool const found, row.bind_all(model.name, version).step());
    if (!found) return Error{Kind::not_found, "unknown_release", fmt::format("alias {}: there is no release {}@{}", name, model.name, version)};
  }
  return {};
}

Result<void> note(store::Tx& tx, events::Deed const& deed, std::string_view action, Model const& model, std::string before) {
  return events::record(tx, deed, std::string(action), "model/" + model.name, std::move(before), model_json(model));
}

}  // namespace

std::string model_json(Model const& model) {
  json::object out{{"name", model.name},
                   {"approvals_required", model.approvals_required},
                   {"aliases", wire::text_object(model.aliases)},
                   {"created_at", to_rfc3339(model.created_at)},
                   {"signers", json::object()},
                   {"demands", json::array()},
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
  return read_row(row);
}

Result<std::vector<Model>> list_models(db::Connection& reader, std::string_view only, std::string_view kind, std::string_view after, int limit) {
  std::vector<Model> out;
  auto rows = reader.prepare(kListModels);
  rows.bind_all(after, limit, only, kind);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    out.push_back(read_row(rows));
  }
}

Result<Model> create_model(store::Tx& tx, signing::KeyRing& keys, Model const& wanted, events::Deed const& deed) {
  FLEET_CHECK(check_model_name(wanted.name));
  if (load_model(tx.connection(), wanted.name))
    return Error{Kind::conflict, "model_exists", fmt::format("model {} exists already", wanted.name), "change it with fleetctl model set"};
  FLEET_CHECK(check_aliases(tx, wanted));
  FLEET_CHECK(tx.prepare(kInsertModel)
                  .bind_all(wanted.name, wanted.approvals_required, json::serialize(wire::text_object(wanted.aliases)), to_unix_ms(deed.at), wanted.evidence)
                  .run());
  FLEET_CHECK(signing::add_model_role(tx, keys, wanted.name, deed.at));
  FLEET_TRY(auto made, load_model(tx.connection(), wanted.name));
  FLEET_CHECK(note(tx, deed, "model.created", made, ""));
  return made;
}

Result<Model> change_model(store::Tx& tx, Model const& wanted, events::Deed const& deed) {
  FLEET_TRY(auto const before, load_model(tx.connection(), wanted.name));
  if (before.approvals_required == wanted.approvals_required && before.aliases == wanted.aliases && before.evidence == wanted.evidence) return before;
  FLEET_CHECK(check_aliases(tx, wanted));
  FLEET_CHECK(tx.prepare(kUpdateModel).bind_all(wanted.name, wanted.approvals_required, json::serialize(wire::text_object(wanted.aliases)), wanted.evidence).run());
  FLEET_TRY(auto changed, load_model(tx.connection(), wanted.name));
  FLEET_CHECK(note(tx, deed, "model.changed", changed, model_json(before)));
  return changed;
}

}  // namespace fleet::catalog
