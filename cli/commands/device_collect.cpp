#include "cli/client/config_file.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <algorithm>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr Millis kEvery{1'000};
constexpr Millis kWait = std::chrono::minutes{10};

Shape const& support_shape() {
  static Shape const shape{"support bundle",
                           "id",
                           {{"ID", "id"},
                            {"DEVICE", "device"},
                            {"STATE", "state", Form::state},
                            {"SIZE", "size", Form::text, false, true},
                            {"ASKED", "asked_at", Form::time},
                            {"BY", "asked_by"},
                            {"RECEIVED", "received_at", Form::time}}};
  return shape;
}

bool is_received(json::value const& support) { return render::text_at(support, "state") == "received"; }

/// Until the device has answered this order. @errors timeout; conflict: somebody asked anew meanwhile
Result<json::value> wait_for(Session& session, Api& api, std::string const& device, json::value support) {
  auto& clock = session.around().clock;
  auto const until = clock.mono() + session.timeout().value_or(kWait);
  auto const id = render::text_at(support, "id");
  while (!is_received(support)) {
    auto const left = until - clock.mono();
    if (left <= Millis{0})
      return Error{Kind::timeout, "timeout", fmt::format("device {} has not sent its support bundle yet", device),
                   fmt::format("it does when it is in contact; later: fleetctl device collect {} --last --to FILE", device)};
    session.around().console.pause(std::min<Millis>(kEvery, left));
    FLEET_TRY(support, api.get(Route("/devices/{}/support", {device})));
    if (render::text_at(support, "id") != id) return Error{Kind::conflict, "asked_anew", fmt::format("somebody asked device {} anew meanwhile", device)};
  }
  return support;
}

Result<void> save(Session& session, Api& api, std::string const& device, std::string const& path, json::value const& support) {
  if (!is_received(support))
    return Error{Kind::not_found, "no_support_bundle", fmt::format("device {} has not sent its support bundle yet", device), "it does when it is in contact; try later, or --wait"};
  FLEET_TRY(auto const content, api.send(net::Method::get, Route("/devices/{}/support/content", {device}).target()));
  FLEET_CHECK(session.around().fs.replace(path, content.body, 0600));  // what it holds, others may not read
  session.say(fmt::format("wrote {}", path));
  return {};
}

Result<int> collect(Session& session, Arguments const& arguments) {
  auto const device = arguments.text("ID");
  auto const path = arguments.has("to") ? absolute_path(session.around().folder, arguments.text("to")) : std::string();
  if (!path.empty() && session.around().fs.info(path)) return Error{Kind::conflict, "file_exists", path + " is there already", "take another name, or remove it"};
  FLEET_TRY(auto* const api, session.api(Api::kTimeout));
  json::value support;
  if (arguments.flag("last")) {
    FLEET_TRY(support, api->get(Route("/devices/{}/support", {device})));
  } else {
    json::object body;
    if (!session.reason().empty()) body["reason"] = session.reason();
    if (arguments.flag("metered")) body["metered"] = "allow";
    FLEET_TRY(auto const asked, api->post(Route("/devices/{}:collect", {device}), std::move(body)));
    FLEET_TRY(support, asked.json());
  }
  bool const waits = arguments.flag("wait") || (!path.empty() && !arguments.flag("last"));
  if (waits) {
    FLEET_TRY(support, wait_for(session, *api, device, std::move(support)));
  }
  if (!path.empty()) FLEET_CHECK(save(session, *api, device, path, support));
  return show_done(session, support, support_shape(),
                   is_received(support) ? fmt::format("the support bundle of device {} is here, {}", device, render::size_text(static_cast<std::uint64_t>(render::number_at(support, "size"))))
                                        : fmt::format("device {} is asked for its support bundle; it sends it when it is in contact", device));
}

}  // namespace

std::vector<Command> const& device_collect_commands() {
  using enum Option::Kind;
  static std::vector<Command> const rows{
      {"device collect",
       "have the device send its support bundle (what fleet-agent collect writes, without secrets)",
       "device collect cam-1 --to cam-1.tar --timeout 1h\ndevice collect cam-1 --last --to cam-1.tar",
       collect,
       {{argument, "ID", "", "the device"},
        {value, "--to", "FILE", "write it there, once it is here"},
        {flag, "--wait", "", "wait for it, for 10m or --timeout; --to does, too"},
        {flag, "--last", "", "ask for nothing: the one that came last"},
        {flag, "--metered", "", "also over a link that costs by the byte"}}},
  };
  return rows;
}

}  // namespace fleet::cli
