#include "server/api/model_routes.hpp"

#include "core/trust/evidence.hpp"
#include "server/registry/groups.hpp"
#include "server/registry/versions.hpp"
#include "server/rollout/shell/follow.hpp"

#include "core/base/names.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

namespace fleet::api {
namespace {

constexpr std::size_t kBodyMax = 512 * 1024;
constexpr std::size_t kStandingMax = 16;

/// The standing policies of a body, each sound by itself.
void read_standing(Services& services, wire::ObjectReader& reader, std::vector<catalog::Standing>& out, std::vector<FieldError>& faults) {
  auto const* const list = reader.array("standing", kStandingMax);
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    auto const at = fmt::format("/standing/{}", i);
    wire::ObjectReader one((*list)[i], at, faults);
    catalog::Standing standing;
    standing.alias = one.required_text("alias", 64);
    standing.selector = one.text("selector", registry::Selector::kBytesMax, "");
    auto const* const policy = one.find("policy");
    one.refuse_unknown();
    if (!one.valid()) continue;
    if (one.find("selector") == nullptr) one.fault("selector", "is required: which devices? Empty: all");
    if (std::any_of(out.begin(), out.end(), [&](auto const& other) { return other.alias == standing.alias; })) one.fault("alias", "stands there twice");
    if (policy == nullptr) {
      one.fault("policy", "is required: a policy, or cautious, standard, fast or small-fleet");
      continue;
    }
    standing.policy = boost::json::serialize(*policy);
    auto const sound = rollout::take_policy(services.fs, standing.policy, at + "/policy");
    if (sound && sound->emergency) one.fault("policy", "an emergency is not for a standing policy: each needs a reason of its own");
    if (!sound) {
      auto const error = sound.error();  // a copy each time that it is asked for
      if (error.errors.empty()) one.fault("policy", error.detail);
      faults.insert(faults.end(), error.errors.begin(), error.errors.end());
    }
    out.push_back(std::move(standing));
  }
}

struct Wanted {
  catalog::Model model;
  bool says_protection = false;  ///< one that is not told stays: it is not lost to who knows nothing of it
  std::string reason;
};

Result<Wanted> decode(Services& services, Call const& call) {
  auto const text = call.request.body.empty() ? "{}" : std::string_view(call.request.body);
  FLEET_TRY(auto const body, wire::parse_json(text, kBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  Wanted out;
  auto& wanted = out.model;
  wanted.name = call.path_value("m");
  wanted.approvals_required = static_cast<int>(reader.integer("approvals_required", 0, 10, 0));
  for (auto& [alias, version] : reader.text_map("aliases", 64, 64)) wanted.aliases.emplace(std::move(alias), std::move(version));
  read_standing(services, reader, wanted.standing, faults);
  auto const protection = wire::parse_protection(reader.text("protected", 32, {}));
  out.says_protection = reader.find("protected") != nullptr;
  if (protection) wanted.protection = *protection;
  else reader.fault("protected", protection.error().detail);
  out.reason = reader.text("reason", 1000, {});
  for (auto const* const part : {"signers", "demands"}) (void)reader.find(part);  // read below, as one
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "model"));
  for (auto& standing : wanted.standing) {
    FLEET_TRY(standing.selector, registry::kept_text(services.store.reader(), standing.selector));
  }
  FLEET_TRY(auto const evidence, trust::decode_evidence_policy(text));
  wanted.evidence = trust::encode(evidence);
  return out;
}

/// What moves, and has something that stands for it.
Result<std::vector<rollout::PlannedMove>> plan_moves(Services& services, catalog::Model const& before, catalog::Model const& wanted, SysTime now) {
  std::vector<rollout::PlannedMove> out;
  auto& reader = services.store.reader();
  for (auto const& standing : wanted.standing) {
    auto const named = wanted.aliases.find(standing.alias);
    if (named == wanted.aliases.end()) continue;
    auto const was = before.aliases.find(standing.alias);
    auto const from = was == before.aliases.end() ? std::string() : was->second;
    FLEET_TRY(auto const to, registry::version_named(reader, wanted.name, named->second));
    if (to == from) continue;
    rollout::Move const move{wanted.name, standing.alias, from, to, standing.selector, standing.policy};
    FLEET_TRY(auto planned, rollout::plan_move(reader, services.fs, move, make_ulid("r_", to_unix_ms(now), services.random)));
    out.push_back(std::move(planned));
  }
  return out;
}

Error changed_meanwhile(std::string const& model) {
  return {Kind::precondition, "changed_meanwhile", fmt::format("model {} was changed meanwhile", model), "read it again, then repeat"};
}

Result<Reply> change(Services& services, Call const& call, catalog::Model const& before, Wanted wanted) {
  if (!wanted.says_protection) wanted.model.protection = before.protection;
  FLEET_TRY(auto const moves, plan_moves(services, before, wanted.model, call.now));
  boost::json::array started;
  auto const job = [&](store::Tx& tx) -> Result<catalog::Model> {
    started.clear();
    FLEET_TRY(auto const now, catalog::load_model(tx.connection(), before.name));
    if (now.revision != before.revision) return changed_meanwhile(before.name);
    FLEET_TRY(auto changed, catalog::change_model(tx, wanted.model, call.deed(wanted.reason)));
    for (auto const& move : moves) {
      FLEET_TRY(auto const made, rollout::start_move(tx, move, call.deed(wanted.reason)));
      started.push_back(boost::json::value(made.id));
    }
    return changed;
  };
  FLEET_TRY(auto const changed, services.store.write_value<catalog::Model>(store::Lane::verbs, job));
  auto reply = model_reply(changed);
  if (started.empty()) return reply;
  auto object = boost::json::parse(reply.body).as_object();
  object["started"] = std::move(started);
  reply.body = boost::json::serialize(object);
  return reply;
}

}  // namespace

Reply model_reply(catalog::Model const& model, int status) {
  Reply reply;
  reply.status = status;
  reply.revision = model.revision;
  reply.body = catalog::model_json(model);
  return reply;
}

Result<Reply> put_model(Services& services, Call const& call) {
  FLEET_TRY(auto const wanted, decode(services, call));
  auto const there = catalog::load_model(services.store.reader(), wanted.model.name);
  if (!there && there.error().kind != Kind::not_found) return there.error();
  if (there) {
    FLEET_CHECK(check_if_match(call, there->revision));
    return change(services, call, *there, wanted);
  }
  auto const job = [&](store::Tx& tx) { return catalog::create_model(tx, *services.keys, wanted.model, call.deed(wanted.reason)); };
  FLEET_TRY(auto const made, services.store.write_value<catalog::Model>(store::Lane::verbs, job));
  return model_reply(made, 201);
}

}  // namespace fleet::api
