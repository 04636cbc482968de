#include "agent/commands/commands.hpp"

#include "agent/commands/config_check.hpp"
#include "agent/commands/control.hpp"
#include "agent/commands/daemon.hpp"
#include "agent/commands/told_error.hpp"
#include "core/base/dir_lock.hpp"
#include "core/base/log.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

namespace fleet::agent {
namespace json = boost::json;
namespace {

constexpr std::size_t kAnswerMax = 1024 * 1024;

/// The error object a daemon answered with, as an Error again.
Result<void> check_answer(std::string const& answer) {
  FLEET_TRY(auto const value, wire::parse_json(answer, kAnswerMax));
  return told_error(value, "error");
}

/// The owner's order on a folder whose daemon does not run, or cannot: without a server, and without hooks where agent.yaml has a mistake.
Result<void> obey_alone(Machine const& machine, Layout const& layout, std::string const& what, std::string const& model) {
  auto& fs = machine.fs;
  auto const lock = DirLock::acquire(fs, layout.root);
  if (!lock) return Error{Kind::unavailable, "daemon_busy", fmt::format("the agent on {} begins or ends", layout.root), "try again"};
  auto config = ready_config(fs, layout);
  if (!config && what == "consent") return config.error();  // who asks for it stands there
  if (!config) log::warn("config.refused", {{"error", config.error().detail}, {"without", "hooks"}});
  FLEET_TRY(auto const context, open_context(fs, machine.clock, machine.random, layout, config ? *std::move(config) : Config{}, machine.clock));
  Remotes remotes(context->identity, context->identity.servers, context->trusted, context->waits);
  Runner runner(*context, remotes, Told{});
  if (what == "consent") {
    FLEET_CHECK(runner.consent(model));
    auto const before = context->journal.state(model);
    runner.hear(model);
    if (context->journal.state(model).consented == Refusal{before.target.digest, before.rollout, before.attempt}) return {};
    return Error{Kind::io, "not_kept", "the consent could not be written down: the log above says why"};
  }
  bool const back = what == "rollback";
  auto const moved = back ? runner.owner_of(model) : model;  // a member goes back with its set
  FLEET_CHECK(back ? runner.roll_back(model) : runner.unhold(model));
  runner.go(moved);
  auto const state = context->journal.state(moved);
  if (back && state.state != State::rolled_back)
    return Error{Kind::io, "not_rolled_back", fmt::format("model {} is at {}: the log above says why", moved, to_string(state.state))};
  return {};
}

std::string_view text_at(json::object const& object, std::string_view key) {
  auto const* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view("-");
}

/// Names of what this device does not know of itself.
std::string unknown_conditions(json::object const& status) {
  std::string out;
  auto const* const readings = status.if_contains("conditions");
  if (readings == nullptr || !readings->is_object()) return out;
  for (auto const& reading : readings->get_object())
    if (reading.value().is_null()) out += fmt::format("{}{}", out.empty() ? "" : ", ", std::string_view(reading.key()));
  return out;
}

}  // namespace

Result<std::string> status_of(Machine const& machine, Layout const& layout) {
  auto answer = ask_daemon(layout.control_socket(), R"({"do":"status"})", machine.clock);
  if (answer || answer.error().code != "no_daemon") return answer;
  // What the journal has: the same object, with nobody in touch with a server.
  auto const config = ready_config(machine.fs, layout);
  FLEET_TRY(auto const context, open_context(machine.fs, machine.clock, machine.random, layout, config ? *config : Config{}, machine.clock));
  auto const server = context->identity.servers.empty() ? std::string() : context->identity.servers.front();
  return status_json(*context, context->journal.models(), {server, {}, config ? "no agent runs" : "no agent runs, and none starts: " + config.error().detail});
}

Result<std::string> show_status(Machine const& machine, Layout const& layout, bool as_json) {
  FLEET_TRY(auto const text, status_of(machine, layout));
  FLEET_CHECK(check_answer(text));
  if (as_json) return text + "\n";
  FLEET_TRY(auto const value, wire::parse_json(text, kAnswerMax));
  auto const& object = value.get_object();
  auto out = fmt::format("device  {}\nserver  {}\ncontact {}\n", text_at(object, "id"), text_at(object, "server"), text_at(object, "last_contact"));
  if (auto const error = text_at(object, "last_error"); !error.empty() && error != "-") out += fmt::format("trouble {}\n", error);
  if (auto const lacking = unknown_conditions(object); !lacking.empty())
    out += fmt::format("unknown {}: conditions on them hold nothing back here\n", lacking);
  for (auto const& item : object.at("models").get_array()) {
    auto const& model = item.get_object();
    out += fmt::format("{}  running {}  previous {}  {}\n", text_at(model, "model"), text_at(model, "running"), text_at(model, "previous"),
                       text_at(model, "state"));
  }
  return out;
}

Result<std::string> explain(Machine const& machine, Layout const& layout, std::string const& model, bool as_json) {
  FLEET_TRY(auto const text, status_of(machine, layout));
  FLEET_CHECK(check_answer(text));
  FLEET_TRY(auto const value, wire::parse_json(text, kAnswerMax));
  json::array found;
  for (auto const& item : value.at("models").get_array())
    if (model.empty() || text_at(item.get_object(), "model") == model) found.push_back(item);
  if (found.empty() && !model.empty()) return Error{Kind::not_found, "unknown_model", fmt::format("no model '{}' on this device", model)};
  if (as_json) return json::serialize(found) + "\n";
  std::string out = found.empty() ? "nothing was ever directed to this device\n" : "";
  for (auto const& item : found) {
    auto const& one = item.get_object();
    out += fmt::format("{}: wants {}, runs {}\n", text_at(one, "model"), text_at(one, "target"), text_at(one, "running"));
    for (auto const& reason : one.at("because").get_array())
      out += fmt::format("  {}: {}\n", text_at(reason.get_object(), "code"), text_at(reason.get_object(), "text"));
  }
  return out;
}

Result<void> order(Machine const& machine, Layout const& layout, std::string const& what, std::string const& wanted) {
  auto model = wanted;
  if (model.empty()) {
    FLEET_TRY(auto const text, status_of(machine, layout));
    FLEET_TRY(auto const value, wire::parse_json(text, kAnswerMax));
    auto const& models = value.at("models").get_array();
    if (models.size() != 1) return Error{Kind::bad_input, "which_model", fmt::format("{} models run here", models.size()), "say which: --model M"};
    model = text_at(models[0].get_object(), "model");
  }
  auto const answer = ask_daemon(layout.control_socket(), json::serialize(json::object{{"do", what}, {"model", model}}), machine.clock);
  if (!answer && answer.error().code == "no_daemon") return obey_alone(machine, layout, what, model);
  return answer ? check_answer(*answer) : answer.error();
}

}  // namespace fleet::agent
