#include "server/api/route.hpp"
#include "server/cost/report.hpp"
#include "server/registry/devices.hpp"
#include "server/registry/groups.hpp"
#include "server/registry/versions.hpp"
#include "server/rollout/shell/restored.hpp"
#include "server/rollout/shell/series.hpp"
#include "server/rollout/shell/survey.hpp"
#include "server/rollout/shell/verbs.hpp"
#include "server/rollout/shell/views.hpp"

#include "core/base/names.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace fleet::api {
namespace {

using rollout::Rollout;

constexpr std::uint64_t kSmall = 64 * 1024;
constexpr std::size_t kBodyMax = 256 * 1024;
constexpr std::size_t kReasonMax = 1'000;
constexpr std::int64_t kStagesMax = 1'000;
constexpr char const* kPolicyRequired = "is required: a policy, or cautious, standard, fast or small-fleet";

constexpr Scope kLint{Bound::filtered, Bound::named, {{Place::body, "model", Thing::model}, {Place::body, "selector", Thing::some_devices}}};
constexpr Scope kPreset{Bound::open, Bound::named, {{Place::body, "selector", Thing::devices}}};
constexpr Scope kRollout{Bound::named, Bound::named, {{Place::path, "id", Thing::rollout}}};
constexpr Scope kVerb{Bound::named, Bound::named, {{Place::path, "id", Thing::moved_rollout}}};
constexpr Scope kRetry{Bound::named, Bound::named, {{Place::path, "id", Thing::moved_rollout}, {Place::body, "device", Thing::device}}};
constexpr Scope kNewRollout{Bound::named,
                 Bound::named,
                 {{Place::body, "model", Thing::moved_model},
                  {Place::body, "selector", Thing::devices},
                  {Place::body, "after", Thing::rollout},
                  {Place::body, "supersede", Thing::moved_rollout}}};
constexpr Scope kRolloutList{Bound::filtered, Bound::filtered, {{Place::query, "model", Thing::model}}};
// A body that names no model is of the one that the caller is limited to.
constexpr Scope kUnhold{Bound::filtered, Bound::named, {{Place::path, "id", Thing::device}, {Place::body, "model", Thing::model}}};

Result<Reply> rollout_reply(db::Connection& connection, Rollout const& found, int status = 200) {
  Reply reply;
  reply.status = status;
  reply.revision = found.revision;
  FLEET_TRY(reply.body, rollout::rollout_json(connection, found));
  return reply;
}

struct Wanted {
  rollout::CreateRequest request;
  std::string reason;
};

/// An alias of the model in a test: the other release is the one that it names now.
Result<void> name_other(Services& services, std::string const& model, rollout::Policy& policy) {
  if (!policy.ab || policy.ab->model() != model) return {};
  FLEET_TRY(policy.ab->against, registry::release_named(services.store.reader(), policy.ab->against));
  return {};
}

Result<Wanted> read_create(Services& services, Call const& call) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, kBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  Wanted out;
  auto& plan = out.request.plan;
  plan.model = reader.required_text("model", 64);
  plan.version = reader.required_text("version", 64);
  plan.selector = reader.text("selector", registry::Selector::kBytesMax, "");
  auto const* const policy = reader.find("policy");
  if (policy == nullptr && reader.valid()) reader.fault("policy", kPolicyRequired);
  out.request.start = reader.boolean("start", false);
  out.request.after = reader.text("after", 64, "");
  out.request.supersede = reader.text("supersede", 64, "");
  out.reason = reader.text("reason", kReasonMax, "");
  if (!out.request.after.empty() && !out.request.supersede.empty()) reader.fault("supersede", "a rollout comes after another or supersedes it, not both");
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  FLEET_TRY(plan.policy, rollout::take_policy(services.fs, boost::json::serialize(*policy), "/policy"));
  // What it is called today: a rollout keeps the version, whatever becomes of the alias.
  FLEET_TRY(plan.version, registry::version_named(services.store.reader(), plan.model, plan.version));
  FLEET_CHECK(name_other(services, plan.model, plan.policy));
  FLEET_TRY(plan.selector, registry::kept_text(services.store.reader(), plan.selector));
  out.request.id = make_ulid("r_", to_unix_ms(call.now), services.random);
  FLEET_TRY(plan.salt, rollout::next_salt(services.store.reader(), plan.model, plan.version));
  plan.sees = call.actor.limits.model;
  return out;
}

struct LintRequest {
  rollout::Policy policy;
  std::optional<rollout::SurveyRequest> fleet;  ///< nothing: what can be told without one
};

Result<LintRequest> read_lint(Services& services, Call const& call) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, kBodyMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  auto const* const policy = reader.find("policy");
  if (policy == nullptr && reader.valid()) reader.fault("policy", kPolicyRequired);
  rollout::SurveyRequest fleet;
  bool const selected = reader.find("selector") != nullptr;
  fleet.selector = reader.text("selector", registry::Selector::kBytesMax, "");
  fleet.model = reader.text("model", 64, "");
  fleet.version = reader.text("version", 64, "");
  if (fleet.model.empty() != fleet.version.empty()) reader.fault(fleet.model.empty() ? "model" : "version", "a release is a model and a version");
  if (!fleet.model.empty() && !selected) reader.fault("selector", "is required with a release: which devices? Empty: all");
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  LintRequest out;
  FLEET_TRY(out.policy, rollout::take_policy(services.fs, boost::json::serialize(*policy), "/policy"));
  FLEET_TRY(fleet.version, registry::version_named(services.store.reader(), fleet.model, fleet.version));
  FLEET_CHECK(name_other(services, fleet.model, out.policy));
  if (selected) out.fleet = std::move(fleet);
  return out;
}

/// A policy as a rollout would have it, or every mistake in it; and what is allowed and looks like one.
Result<Reply> lint_policy(Services& services, Call const& call) {
  FLEET_TRY(auto wanted, read_lint(services, call));
  std::optional<rollout::Survey> survey;
  if (wanted.fleet) {
    FLEET_TRY(survey, rollout::survey(services.store.reader(), *wanted.fleet, wanted.policy, call.actor.limits));
    wanted.policy = rollout::fitted(std::move(wanted.policy), *survey);
  }
  boost::json::array findings;
  for (auto const& one : rollout::lint(wanted.policy, survey ? &survey->facts : nullptr))
    findings.push_back(boost::json::object{{"pointer", "/policy" + one.pointer}, {"detail", one.text}, {"hint", one.hint}});
  Reply reply;
  reply.body = fmt::format(R"({{"policy":{}{},"findings":{}}})", rollout::encode(wanted.policy),
                           survey ? fmt::format(R"(,"devices":{})", survey->facts.targeted) : std::string(), boost::json::serialize(findings));
  return reply;
}

/// What a preset is for the selected devices.
Result<Reply> fit_preset(Services& services, Call const& call) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body, kSmall));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  rollout::Policy policy;
  policy.preset = reader.required_text("name", 64);
  rollout::SurveyRequest fleet;
  fleet.selector = reader.text("selector", registry::Selector::kBytesMax, "");
  if (!policy.preset.empty() && !rollout::is_preset(policy.preset)) reader.fault("name", fmt::format("one of {}", fmt::join(rollout::kPresetNames, ", ")));
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  FLEET_TRY(auto const survey, rollout::survey(services.store.reader(), fleet, policy, call.actor.limits));
  if (survey.facts.targeted == 0)
    return Error{Kind::unprocessable, "no_devices", "no device is selected: what a preset becomes depends on how many there are",
                 "fleetctl device list -l SELECTOR shows who would be"};
  Reply reply;
  reply.body = rollout::encode(rollout::fitted(std::move(policy), survey));
  return reply;
}

/// Rollouts of other models are named to those alone who see them; that there are some is told to all.
void hide_others(registry::Limits const& limits, rollout::Plan& plan) {
  auto const hidden = std::erase_if(plan.conflicts, [&](auto const& one) { return !limits.covers_model(one.model); });
  if (hidden > 0) plan.warnings.emplace_back("a rollout of another model moves models that this one moves, and may cover the same devices: this one cannot start beside it");
}

Result<Reply> plan_rollout(Services& services, Call const& call) {
  FLEET_TRY(auto const wanted, read_create(services, call));
  FLEET_TRY(auto plan, rollout::plan(services.store.reader(), wanted.request.plan));
  hide_others(call.actor.limits, plan);
  Reply reply;
  FLEET_TRY(auto const delivery, cost::delivery_json(services.store.reader(), plan.arrivals));
  reply.body = rollout::plan_json(wanted.request.plan, plan);
  reply.body.insert(reply.body.size() - 1, R"(,"delivery":)" + delivery);
  return reply;
}

Result<Reply> create_rollout(Services& services, Call const& call) {
  FLEET_TRY(auto const wanted, read_create(services, call));
  FLEET_TRY(auto const plan, rollout::plan(services.store.reader(), wanted.request.plan));
  auto const job = [&](store::Tx& tx) { return rollout::create(tx, wanted.request, plan, call.deed(wanted.reason)); };
  FLEET_TRY(auto const made, services.store.write_value<Rollout>(store::Lane::verbs, job));
  FLEET_TRY(auto reply, rollout_reply(services.store.reader(), made, 201));
  reply.headers.push_back({"Location", "/api/v1/rollouts/" + made.id});
  return reply;
}

Result<Reply> list_all(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"model", "state", "limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  auto const state = call.query_value("state");
  if (!state.empty() && !rollout::parse_state(state))
    return Error{Kind::bad_input, "bad_parameter", fmt::format("state: '{}' is no state of a rollout", state),
                 fmt::format("one of {}", fmt::join(rollout::kStateNames, ", "))};
  FLEET_TRY(auto const before, read_number_cursor(page, INT64_MAX));
  FLEET_TRY(auto const found, rollout::list_rollouts(services.store.reader(), call.actor.limits, call.query_value("model"), state, before, page.limit));
  return list_reply(call, found.items, found.next);
}

Result<Reply> get_one(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {}));
  auto& reader = services.store.reader();
  FLEET_TRY(auto const found, rollout::load_rollout(reader, call.path_value("id")));
  return rollout_reply(reader, found);
}

Result<Reply> explain_one(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {}));
  auto& reader = services.store.reader();
  FLEET_TRY(auto const found, rollout::load_rollout(reader, call.path_value("id")));
  Reply reply;
  FLEET_TRY(reply.body, rollout::explain_json(reader, found));
  return reply;
}

Result<Reply> series_of_one(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {}));
  auto& reader = services.store.reader();
  FLEET_TRY(auto const found, rollout::load_rollout(reader, call.path_value("id")));
  Reply reply;
  FLEET_TRY(reply.body, rollout::series_json(reader, found));
  return reply;
}

Result<Reply> list_its_devices(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {"state", "stage", "limit", "cursor"}));
  FLEET_TRY(auto const page, read_page(call));
  FLEET_TRY(auto const after, read_number_cursor(page, 0));
  auto const state = call.query_value("state");
  constexpr auto const& kStates = rollout::device_state::kNames;
  if (!state.empty() && std::find(kStates.begin(), kStates.end(), state) == kStates.end())
    return Error{Kind::bad_input, "bad_parameter", fmt::format("state: '{}' is no state of a device in a rollout", state),
                 fmt::format("one of {}", fmt::join(kStates, ", "))};
  int stage = 0;
  if (auto const text = call.query_value("stage"); !text.empty()) {
    auto const read = std::from_chars(text.data(), text.data() + text.size(), stage);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size() || stage < 1)
      return Error{Kind::bad_input, "bad_parameter", fmt::format("stage: expected a number from 1, got '{}'", text)};
  }
  auto& reader = services.store.reader();
  FLEET_TRY(auto const found, rollout::load_rollout(reader, call.path_value("id")));
  FLEET_TRY(auto const devices, rollout::list_rollout_devices(reader, found, state, stage, after, page.limit));
  return list_reply(call, devices.items, devices.next);
}

/// What differs since a backup was restored, in the whole fleet.
Result<Reply> what_differs(Services& services, Call const& call) {
  FLEET_CHECK(only_query(call, {}));
  Reply reply;
  FLEET_TRY(reply.body, rollout::restored_json(services.store.reader()));
  return reply;
}

/// Runs a verb: the answer is the rollout after it. Verbs are writes, not work: whatever holds the workers, a rollout must stop all the same.
template <class Verb>
Result<Reply> act(Call const& call, store::Tx& tx, Verb const& verb) {
  FLEET_TRY(auto const found, rollout::load_rollout(tx.connection(), call.path_value("id")));
  FLEET_CHECK(check_if_match(call, found.revision));
  FLEET_TRY(auto const changed, verb(found.id));
  return rollout_reply(tx.connection(), changed);
}

template <Result<Rollout> (*verb)(store::Tx&, std::string_view, events::Deed const&), bool reason_required = false>
Result<Reply> plain_verb(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const body, read_verb(call, reason_required));
  return act(call, tx, [&](std::string const& id) { return verb(tx, id, call.deed(body.reason)); });
}

Result<Reply> promote_one(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const body, wire::parse_json(call.request.body.empty() ? "{}" : std::string_view(call.request.body), kSmall));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(body, "", faults);
  auto const reason = reader.text("reason", kReasonMax, "");
  rollout::Promotion what;
  what.full = reader.boolean("full", false);
  if (what.full && reason.empty()) reader.fault("reason", "required with full: why evidence is skipped, for the audit log");
  // It names the stage that it saw, so that the same request, sent twice, skips one.
  if (!what.full) what.stage = static_cast<int>(reader.required_integer("stage", 1, kStagesMax));
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  return act(call, tx, [&](std::string const& id) { return rollout::promote(tx, id, what, call.deed(reason)); });
}

Result<Reply> retry_one(Services&, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const body, read_verb(call, false, {"device"}));
  auto const device = body.texts.find("device");
  auto const id_of_device = device == body.texts.end() ? std::string() : device->second;
  return act(call, tx, [&](std::string const& id) { return rollout::retry(tx, id, id_of_device, call.deed(body.reason)); });
}

Result<Reply> unhold_device(Services& services, Call const& call, store::Tx& tx) {
  FLEET_TRY(auto const body, read_verb(call, false, {"model"}));
  auto const named = body.texts.find("model");
  auto const model = named == body.texts.end() ? call.actor.limits.model : named->second;
  FLEET_TRY(auto const device, registry::load_device(tx.connection(), call.path_value("id")));
  FLEET_TRY(auto const targets, rollout::unhold(tx, device.id, model, call.deed(body.reason)));
  if (targets == 0 && !model.empty())
    return Error{Kind::not_found, "no_target", fmt::format("no rollout tells device {} what to run of model '{}'", device.id, model),
                 fmt::format("fleetctl device explain {}", device.id)};
  FLEET_TRY(auto const after, registry::load_device(tx.connection(), device.id));
  Reply reply;
  reply.revision = after.revision;
  FLEET_TRY(reply.body, registry::device_json(services.store, tx.connection(), after, call.actor.limits, call.now));
  return reply;
}

}  // namespace

std::vector<Route> const& rollout_routes() {
  using P = Permission;
  constexpr auto get = net::Method::get;
  constexpr auto post = net::Method::post;
  static std::vector<Route> const routes{
      {post, "/api/v1/policies:lint", P::read, kLint, &lint_policy, kBodyMax},
      {post, "/api/v1/policies:preset", P::read, kPreset, &fit_preset, kSmall},
      {post, "/api/v1/rollouts:plan", P::read, kNewRollout, &plan_rollout, kBodyMax},
      {get, "/api/v1/rollouts", P::read, kRolloutList, &list_all},
      {post, "/api/v1/rollouts", P::operate, kNewRollout, &create_rollout, kBodyMax},
      {get, "/api/v1/rollouts/{id}", P::read, kRollout, &get_one},
      {get, "/api/v1/rollouts/{id}/explain", P::read, kRollout, &explain_one},
      {get, "/api/v1/rollouts/{id}/series", P::read, kRollout, WorkHandler{series_of_one}},
      {get, "/api/v1/rollouts/{id}/devices", P::read, kRollout, &list_its_devices},
      {get, "/api/v1/restored", P::administer, kWhole, WorkHandler{what_differs}},
      {post, "/api/v1/rollouts/{id}:start", P::operate, kVerb, &plain_verb<&rollout::start>, kSmall},
      {post, "/api/v1/rollouts/{id}:pause", P::operate, kVerb, &plain_verb<&rollout::pause>, kSmall},
      {post, "/api/v1/rollouts/{id}:resume", P::operate, kVerb, &plain_verb<&rollout::resume>, kSmall},
      {post, "/api/v1/rollouts/{id}:promote", P::operate, kVerb, &promote_one, kSmall},
      {post, "/api/v1/rollouts/{id}:abort", P::operate, kVerb, &plain_verb<&rollout::abort>, kSmall},
      {post, "/api/v1/rollouts/{id}:rollback", P::operate, kVerb, &plain_verb<&rollout::rollback>, kSmall},
      {post, "/api/v1/rollouts/{id}:retry", P::operate, kRetry, &retry_one, kSmall},
      {post, "/api/v1/rollouts/{id}:approve", P::approve, kVerb, &plain_verb<&rollout::approve, true>, kSmall},
      {post, "/api/v1/devices/{id}:unhold", P::operate, kUnhold, &unhold_device, kSmall},
  };
  return routes;
}

}  // namespace fleet::api
