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

// Decoded here, on the io thread: the writer is one for all, and a report may have a mebibyte.
void post_reports(Services& services, Call&& call, net::Responder responder) {
  struct Work {
    wire::Report report;
    std::int64_t acked = 0;
    std::string request_id;
    net::Responder responder;
  };
  auto decoded = wire::decode_report(call.request.body);
  if (!decoded) return responder(problem(decoded.error(), call.request_id));
  auto const work = std::make_shared<Work>(Work{std::move(*decoded), 0, call.request_id, std::move(responder)});
  auto const job = [&services, work, device_n = call.actor.device_n, now = call.now](store::Tx& tx) -> Result<void> {
    FLEET_TRY(work->acked, fronts::take_report(tx, *services.rollouts, device_n, work->report, now));
    return {};
  };
  services.store.write(job, [work](Result<void> const& written) {
    if (!written) return work->responder(problem(written.error(), work->request_id));
    work->responder(net::json_response(200, fmt::format(R"({{"acked":{}}})", work->acked)));
  });
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
      {net::Method::post, "/device/v1/poll", Permission::device, RawHandler{post_poll}, wire::kPollBytesMax, Listener::device},
      {net::Method::post, "/device/v1/reports", Permission::device, RawHandler{post_reports}, wire::kReportBytesMax, Listener::device},
      // To everyone: they prove themselves, and a device that no longer knows its server's CA has no other way to learn of the new one.
      {net::Method::get, "/device/v1/ca", Permission::everyone, ReadHandler{get_ca}, 0, Listener::device},
      {net::Method::get, "/device/v1/directive/{name}", Permission::everyone, ReadHandler{get_directive_root}, 0, Listener::device},
  };
  return kRoutes;
}

}  // namespace fleet::api
