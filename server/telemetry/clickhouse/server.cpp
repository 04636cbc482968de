#include "server/telemetry/clickhouse/server.hpp"

#include "core/base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace fleet::clickhouse {
namespace {

constexpr Millis kTimeout{30'000};
constexpr std::uint64_t kTextMax = 1024 * 1024;
constexpr std::uint64_t kAnswerMax = std::uint64_t{1} << 30;  // of one that is read in pieces
constexpr std::size_t kToldMax = 300;
/// The status tells whether all went well: the answer is whole before it begins. Nothing runs for longer than somebody waits for it.
constexpr std::string_view kSettings = "wait_end_of_query=1&max_execution_time=25";

Error away(std::string detail) {
  return {Kind::unavailable, "telemetry_away", "ClickHouse " + std::move(detail), "is it well, and reached from here? Nothing that was acknowledged is lost"};
}

Error refused(net::ClientResponse const& answer) {
  auto const line = std::string_view(answer.body).substr(0, answer.body.find('\n'));
  return away(fmt::format("answers {}: {}", answer.status, safe_text(cut_text(line, kToldMax))));
}

}  // namespace

Result<Server> Server::open(Access access, Clock& clock) {
  net::ClientConfig config;
  config.ca_pem = access.ca_pem;
  config.allow_plain_http = !access.address.secure;
  config.user_agent = "fleet-server";
  config.connect = Millis{5'000};
  FLEET_TRY(auto client, net::Client::create(std::move(config), clock));
  auto const user = access.address.user.empty() ? std::string("default") : access.address.user;
  auto url = fmt::format("{}?database={}&{}", access.address.url, net::percent_encode(access.address.database), kSettings);
  return Server(std::move(url), "Basic " + to_base64(as_bytes(user + ":" + access.password)), std::move(client));
}

Result<net::ClientResponse> Server::send(std::string const& query, std::string body, net::BodySink const& sink) {
  net::ClientRequest request;
  request.method = net::Method::post;
  request.url = url_ + query;
  // All that is asked may be asked twice: over a connection that it closed meanwhile the client tries once more.
  request.headers = {{"Authorization", authorization_}, {"Idempotency-Key", "any"}};
  request.body = std::move(body);
  request.timeout = kTimeout;
  request.body_limit = sink ? kAnswerMax : kTextMax;
  return client_.send(request, sink);
}

Result<std::string> Server::ask(std::string_view statement) {
  auto answer = send({}, std::string(statement), {});
  if (!answer) return away("does not answer: " + answer.error().detail);
  if (answer->status != 200) return refused(*answer);
  return std::move(answer->body);
}

Result<void> Server::ask(std::string_view statement, std::function<Result<void>(BytesView)> const& take) {
  std::optional<Error> not_taken;
  auto const answer = send({}, std::string(statement), [&](net::ClientResponse const&, BytesView piece) -> Result<void> {
    auto const taken = take(piece);
    if (!taken) not_taken = taken.error();
    return taken;
  });
  if (not_taken) return *not_taken;
  if (!answer) return away("does not answer: " + answer.error().detail);
  return answer->status == 200 ? Result<void>() : refused(*answer);
}

Result<void> Server::insert(std::string_view statement, std::string rows) {
  auto const answer = send("&query=" + net::percent_encode(statement), std::move(rows), {});
  if (!answer) return away("does not answer: " + answer.error().detail);
  return answer->status == 200 ? Result<void>() : refused(*answer);
}

}  // namespace fleet::clickhouse
