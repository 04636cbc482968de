#include "server/api/content_files.hpp"
#include "server/api/handler.hpp"
#include "server/api/route.hpp"
#include "server/fronts/agent/polls.hpp"
#include "server/delivery/queries.hpp"
#include "server/fronts/agent/reports.hpp"

#include <fmt/format.h>

#include <charconv>

namespace fleet::api {
namespace {

void post_poll(Services& services, Call&& call, net::Responder responder) {
  // The API has put a DeviceSession there before any device's handler runs.
  auto* session = call.request.attachment == nullptr ? nullptr : static_cast<DeviceSession*>(call.request.attachment->get());
  services.polls->handle(
      {.device_n = call.actor.device_n, .body = call.request.body, .request_id = call.request_id, .slot = session == nullptr ? nullptr : &session->decision},
      std::move(responder));
}

/// A report on its way in, piece by piece: others' come between.
struct Intake {
  Services& services;
  std::int64_t device_n;
  SysTime now;
  std::vector<wire::Report> pieces;
  std::string request_id;
  net::Responder responder;
  std::size_t next = 0;
  wire::ReportAnswer answer = {};
};

void take_next(std::shared_ptr<Intake> const& intake) {
  auto const job = [intake](store::Tx& tx) -> Result<void> {
    auto const& services = intake->services;
    FLEET_TRY(intake->answer, fronts::take_report(tx, *services.rollouts, *services.reporters, intake->device_n, intake->pieces[intake->next], intake->now, fronts::Heard::now,
                                               services.telemetry));
    return {};
  };
  // Results come before samples: a rollout waits for them.
  auto const lane = intake->pieces[intake->next].items[wire::Tier::critical].empty() ? store::Lane::telemetry : store::Lane::devices;
  intake->services.store.fold(lane, intake->services.reporters, intake->device_n, job, [intake](Result<void> const& written) {
    if (!written) return intake->responder(problem(written.error(), intake->request_id));
    bool const held = fronts::is_held(intake->pieces[intake->next], intake->answer);
    if (++intake->next < intake->pieces.size() && !held) return take_next(intake);
    intake->responder(net::json_response(200, wire::encode(intake->answer)));
  });
}

// Decoded here, on the io thread: the writer is one for all, and a report may have a mebibyte.
void post_reports(Services& services, Call&& call, net::Responder responder) {
  auto decoded = wire::decode_report(call.request.body);
  if (!decoded) return responder(problem(decoded.error(), call.request_id));
  services.rollouts->heard(call.actor.device_n);
  take_next(std::make_shared<Intake>(
      Intake{services, call.actor.device_n, call.now, fronts::cut(std::move(*decoded)), call.request_id, std::move(responder)}));
}

/// `<n>.root.json`; 0 when it is none.
std::int64_t root_version(std::string_view name) {
  std::int64_t version = 0;
  auto const [end, error] = std::from_chars(name.data(), name.data() + name.size(), version);
  bool const whole = error == std::errc{} && std::string_view(end, name.data() + name.size()) == ".root.json";
  return whole && name.front() != '0' ? version : 0;
}

Result<Reply> get_directive_root(Services&, Call const& call, db::Connection& reader) {
  auto const name = call.path_value("name");
  auto row = reader.prepare(delivery::kGetDirectiveRoot);
  FLEET_TRY(bool const found, row.bind(1, root_version(name)).step());
  if (!found) return Error{Kind::not_found, "unknown_metadata", fmt::format("there is no {} in the directive repository", name)};
  Reply reply;
  reply.body = std::string(as_text(row.blob(0)));
  return reply;
}

/// Signed when asked for, by whoever may sign directives now.
Result<Reply> get_ca(Services& services, Call const&, db::Connection&) {
  Reply reply;
  FLEET_TRY(reply.body, delivery::sign_ca(services));
  return reply;
}

}  // namespace

std::vector<Route> const& delivery_routes() {
  static std::vector<Route> const kRoutes{
      {net::Method::post, "/device/v1/poll", Permission::device, kOpen, RawHandler{post_poll}, wire::kPollBytesMax, Listener::device},
      {net::Method::post, "/device/v1/reports", Permission::device, kOpen, RawHandler{post_reports}, wire::kReportBytesMax, Listener::device},
      {net::Method::get, "/device/v1/routes/{digest}", Permission::device, kOpen, WorkHandler{get_device_routes}, 0, Listener::device},
      // To everyone: they prove themselves, and a device that no longer knows its server's CA has no other way to learn of the new one.
      {net::Method::get, "/device/v1/ca", Permission::everyone, kOpen, ReadHandler{get_ca}, 0, Listener::device},
      // On the API listener for who makes a bundle.
      {net::Method::get, "/device/v1/directive/{name}", Permission::everyone, kOpen, ReadHandler{get_directive_root}, 0, Listener::both},
  };
  return kRoutes;
}

}  // namespace fleet::api
