#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/args/refs.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr int kChangeTries = 4;

Result<int> list_devices(Session& session, Arguments const& arguments) {
  if (arguments.flag("online") && arguments.flag("offline")) return Error{Kind::bad_input, "bad_argument", "--online and --offline exclude each other"};
  if (arguments.has("running")) FLEET_CHECK(parse_release(arguments.text("running")));
  auto before = arguments.text("last-seen-before");
  if (!before.empty() && !parse_rfc3339(before)) {
    auto const span = parse_duration(before);
    if (!span)
      return Error{Kind::bad_input, "bad_argument", "--last-seen-before: expected 2026-11-20T09:30:00Z or a time ago such as 7d, got `" + before + "`"};
    before = to_rfc3339(session.now() - *span);
  }
  Route route("/devices");
  route.with("selector", session.selector()).with("state", arguments.text("state")).with("running", arguments.text("running"));
  route.with("online", arguments.flag("online") ? "true" : arguments.flag("offline") ? "false" : "").with("last_seen_before", before);
  return show_list(session, arguments, route, device_shape());
}

Result<int> get_device(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const device, api->get(Route("/devices/{}", {arguments.text("ID")})));
  std::vector<std::pair<std::string, render::Cell>> more{{"SENSORS", cell_of(device, {"SENSORS", "sensors", Form::sensors}, session.now())}};
  if (auto const ahead = render::text_at(device, "clock_ahead_s"); !ahead.empty() && ahead != "0") more.push_back({"CLOCK", {ahead + " s ahead", render::Tone::bad}});
  return show_object(session, device, device_shape(), more);
}

void tell_reasons(Session& session, json::value const& explained, std::string_view indent) {
  if (auto const* because = render::member(explained, "because").if_array())
    for (auto const& one : *because)
      session.data(render::safe_text(fmt::format("{}{} ({})", indent, render::text_at(one, "text"), render::text_at(one, "code"))) + "\n");
}

void tell_model(Session& session, json::value const& explained) {
  auto const or_none = [&](std::string_view key) {
    auto const text = render::text_at(explained, key);
    return text.empty() ? std::string("nothing") : text;
  };
  session.data(render::safe_text(fmt::format("{}: has {}, wants {}", render::text_at(explained, "model"), or_none("has"), or_none("wants"))) + "\n");
  tell_reasons(session, explained, "  ");
}

Result<int> explain_device(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const explained, api->get(Route("/devices/{}/explain", {id}).with("model", arguments.text("model"))));
  if (session.format() == Format::name) return show_gone(session, id, "");
  if (!session.for_people()) {
    show_json(session, explained);
    return 0;
  }
  auto const* models = render::member(explained, "models").if_array();
  if (models == nullptr) tell_model(session, explained);
  else if (models->empty()) {
    tell_reasons(session, explained, "");
    session.say("device " + id + ": no model is meant for it yet");
  } else
    for (auto const& model : *models) tell_model(session, model);
  return 0;
}

Result<int> device_history(Session& session, Arguments const& arguments) {
  return show_list(session, arguments, Route("/devices/{}/history", {arguments.text("ID")}), history_shape());
}

Result<int> approve_device(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  json::object body;
  if (arguments.has("key")) {
    FLEET_CHECK(Digest::parse(arguments.text("key")));
    body["key"] = arguments.text("key");
  }
  if (arguments.has("replaces")) body["replaces"] = arguments.text("replaces");
  return act(session, Route("/devices/{}:approve", {id}), std::move(body), device_shape(), "device " + id + " is approved");
}

Result<int> label_device(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  json::object labels;
  for (auto const& text : arguments.texts("CHANGE")) {
    FLEET_TRY(auto const change, parse_change("label", text));
    if (change.second) labels[change.first] = *change.second;
    else labels[change.first] = nullptr;
  }
  FLEET_TRY(auto* const api, session.api());
  Route const route("/devices/{}", {id});
  for (int tries = 1;; ++tries) {
    FLEET_TRY(auto const before, api->send(net::Method::get, route.target()));
    auto const changed = api->change(net::Method::patch, route, json::object{{"labels", labels}}, std::string(before.header("ETag")));
    if (!changed && changed.error().kind == Kind::precondition && tries < kChangeTries) continue;  // somebody else was faster; labels merge
    if (!changed) return changed.error();
    FLEET_TRY(auto const device, changed->json());
    return show_done(session, device, device_shape(), fmt::format("device {} has labels {}", id, render::joined(render::member(device, "labels"))));
  }
}

Result<int> unhold_device(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  json::object body;
  if (arguments.has("model")) body["model"] = arguments.text("model");
  return act(session, Route("/devices/{}:unhold", {id}), std::move(body), device_shape(), "device " + id + " takes releases again");
}

Result<int> retire_device(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  FLEET_CHECK(session.confirm("This retires device " + id + ": it gets no more answers and leaves every rollout."));
  return act(session, Route("/devices/{}:retire", {id}), json::object(), device_shape(), "device " + id + " is retired");
}

Result<int> revoke_device(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  FLEET_CHECK(session.confirm("This revokes device " + id + ": its key is refused from its next request on."));
  return act(session, Route("/devices/{}:revoke", {id}), json::object(), device_shape(), "device " + id + " is revoked");
}

Result<int> delete_device(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  FLEET_CHECK(session.confirm("This deletes device " + id + " with its history."));
  FLEET_TRY(auto* const api, session.api());
  FLEET_CHECK(api->send(net::Method::del, Route("/devices/{}", {id}).target()));
  return show_gone(session, id, "device " + id + " is deleted");
}

}  // namespace

std::vector<Command> const& device_commands() {
  using enum Option::Kind;
  static Option const id{argument, "ID", "", "the device"};
  static std::vector<Command> const rows{
      {"device list",
       "devices, one a line",
       "device list -l site=lab,hardware=cam-a --online",
       list_devices,
       {{value, "--state", "STATE", "only those in this state", false, {"active", "pending", "revoked", "retired"}},
        {flag, "--online", "", "only those that were seen lately"},
        {flag, "--offline", "", "only those that were not"},
        {value, "--last-seen-before", "TIME", "silent since 2026-11-20T09:30:00Z, or for 7d"},
        {value, "--running", "M@V", "only those that run this release"},
        limit_option()},
       true},
      {"device get", "one device with all that is known", "device get cam-1", get_device, {id}},
      {"device explain",
       "why it runs what it runs, and has not updated",
       "device explain cam-1 --model reader",
       explain_device,
       {id, {value, "--model", "M", "one model only"}}},
      {"device history", "what it reported, newest first", "device history cam-1 --limit 20", device_history, {id, limit_option()}},
      {"device approve",
       "settle a pending enrolment",
       "device approve cam-1 --reason \"new board, seen by Ada\" --replaces cam-0",
       approve_device,
       {id, {value, "--key", "SHA256", "which of several pending keys"}, {value, "--replaces", "ID", "the device it stands in for"}},
       false,
       false,
       true},
      {"device label", "set (k=v) or remove (k-) labels", "device label cam-1 site=lab rack-", label_device, {id, {arguments, "CHANGE", "", "k=v or k-"}}},
      {"device unhold",
       "let it take a release that it refused or rolled back",
       "device unhold cam-1 --model reader",
       unhold_device,
       {id, {value, "--model", "M", "one model only"}}},
      {"device retire", "take it out of service", "device retire cam-1 --reason scrapped --yes", retire_device, {id}},
      {"device revoke", "refuse its key from now on", "device revoke cam-1 --reason stolen --yes", revoke_device, {id}, false, false, true},
      {"device delete", "forget a revoked or retired device", "device delete cam-1 --yes", delete_device, {id}},
  };
  return rows;
}

}  // namespace fleet::cli
