#include "cli/client/api.hpp"

#include "cli/render/json.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::size_t kAnswerBytesMax = 64 * 1024 * 1024;
constexpr std::size_t kCaBytesMax = 1024 * 1024;
constexpr std::size_t kTokenBytesMax = 4096;
constexpr int kPageItems = 500;
constexpr std::int64_t kSlowestBytesPerMs = 16;  ///< of an upload: what the server demands at least (16 KiB/s)

/// Asked twice, does it no harm? A POST has a key (Api::send), by which the server knows it again.
bool harmless(net::Method method) { return method == net::Method::get || method == net::Method::head || method == net::Method::post; }

/// A gateway that reached no server (502) is no fault of the request nor of the server's code.
Kind kind_of(int status) { return status == 502 ? Kind::unavailable : kind_of_status(status); }

std::string hint_for(int status, bool has_token) {
  if (status == 413) return "a proxy before the server takes no such body: raise its limit (nginx: client_max_body_size 5m)";
  if (status == 401 && !has_token) return "no token was given: use --token-file, FLEETCTL_TOKEN_FILE or a context with one";
  if (status == 401) return "see whether the token expired or was revoked: fleetctl doctor";
  return {};
}

}  // namespace

Route::Route(std::string_view pattern, std::initializer_list<std::string_view> parts) : target_("/api/v1") {
  for (auto const part : parts) {
    auto const at = pattern.find("{}");
    if (at == std::string_view::npos) break;
    target_ += std::string(pattern.substr(0, at)) + net::percent_encode(part);
    pattern.remove_prefix(at + 2);
  }
  target_ += pattern;
}

Route& Route::with(std::string_view name, std::string_view value) {
  if (value.empty()) return *this;
  target_ += std::string(has_query_ ? "&" : "?") + std::string(name) + "=" + net::percent_encode(value);
  has_query_ = true;
  return *this;
}

Result<json::value> Answer::json() const {
  auto parsed = wire::parse_json(body, kAnswerBytesMax);
  if (parsed) return parsed;
  return Error{Kind::internal, "bad_answer", fmt::format("the server's answer (status {}) is not JSON: {}", status, parsed.error().detail),
               "is --server the API of a fleet server?"};
}

Result<std::string> read_token(Fs& fs, std::string const& path) {
  FLEET_TRY(auto text, fs.read(path, kTokenBytesMax));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  auto const printable = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (!text.empty() && printable) return text;
  return Error{Kind::bad_input, "bad_token_file", path + ": expected one line with a token, got " + (text.empty() ? "nothing" : "several words or lines"),
               "`fleetctl token create NAME --role R` prints a token once"};
}

Api::Api(net::Client client, std::string server, std::string token, std::string token_file, Surroundings const& around, Millis timeout, Tell tell)
    : client_(std::move(client)),
      server_(std::move(server)),
      token_(std::move(token)),
      token_file_(std::move(token_file)),
      fs_(&around.fs),
      console_(&around.console),
      clock_(&around.clock),
      random_(&around.random),
      timeout_(timeout),
      tell_(std::move(tell)) {}

Result<Api> Api::create(Settings const& settings, Surroundings const& around, Millis timeout, Tell tell) {
  auto server = settings.server.value;
  if (server.empty())
    return Error{Kind::bad_input, "no_server", "no server is known",
                 "use --server URL, FLEETCTL_SERVER, or `fleetctl context add NAME --server URL --ca FILE`"};
  while (server.back() == '/' && server.size() > 1) server.pop_back();
  if (!server.starts_with("https://"))
    return Error{Kind::bad_input, "bad_server", fmt::format("server `{}` (from {}) must be https://HOST:PORT", server, settings.server.from)};
  FLEET_CHECK(net::Url::parse(server));
  if (settings.ca.value.empty())
    return Error{Kind::bad_input, "no_ca", "no CA certificate is known to trust " + server + " by",
                 "use --ca FILE or FLEETCTL_CA; the server wrote it to DIR/ca.pem"};
  net::ClientConfig config;
  FLEET_TRY(config.ca_pem, around.fs.read(settings.ca.value, kCaBytesMax));
  config.user_agent = "fleetctl/" FLEET_VERSION;
  FLEET_TRY(config.proxy, net::ProxyRules::from_environment(around.environment));
  config.connect = std::min(config.connect, timeout);
  auto token = settings.token.value;
  auto const token_file = token.empty() ? settings.token_file.value : std::string();
  if (!token_file.empty()) {
    FLEET_TRY(token, read_token(around.fs, token_file));
  }
  FLEET_TRY(auto client, net::Client::create(std::move(config), around.waits));
  return Api(std::move(client), std::move(server), std::move(token), token_file, around, timeout, std::move(tell));
}

Error Api::problem_of(net::ClientResponse const& answer) {
  last_problem_.clear();
  Error error{kind_of(answer.status), fmt::format("http_{}", answer.status), fmt::format("{} answered status {}", server_, answer.status)};
  if (auto const problem = wire::parse_json(answer.body, kAnswerBytesMax); problem && problem->is_object()) {
    last_problem_ = answer.body;
    if (auto const code = render::text_at(*problem, "code"); !code.empty()) error.code = code;
    if (auto const detail = render::text_at(*problem, "detail"); !detail.empty()) error.detail = detail;
    error.hint = render::text_at(*problem, "hint");
    if (auto const* errors = render::member(*problem, "errors").if_array())
      for (auto const& one : *errors) error.errors.push_back({render::text_at(one, "pointer"), render::text_at(one, "detail")});
  }
  if (error.hint.empty()) error.hint = hint_for(answer.status, !token_.empty());
  return error;
}

Result<net::ClientResponse> Api::exchange(net::ClientRequest const& request, Waiting const& waiting) {
  Retry retry(*clock_, {patience_ + waiting.work, waiting.harmless || harmless(request.method), answered_});
  for (bool told = false;;) {
    auto answer = client_.send(request);
    answered_ = answered_ || answer.has_value();
    auto const pause = retry.pause_after(answer);
    if (!pause) {
      if (told && answer && answer->status < 500) tell_("the server answers again");
      return answer;
    }
    if (!told) tell_(answer ? fmt::format("{} is busy (status {}): asking again", server_, answer->status) : answer.error().detail + ": asking again");
    told = true;
    console_->pause(*pause);
  }
}

/// Whoever keeps a short-lived token fresh writes it into the same file.
bool Api::take_newer_token() {
  auto const now = token_file_.empty() ? Result<std::string>(token_) : read_token(*fs_, token_file_);
  if (!now || *now == token_) return false;
  token_ = *now;
  return true;
}

Result<Answer> Api::send(net::Method method, std::string const& target, std::string body, net::Headers headers, Waiting waiting) {
  net::ClientRequest request;
  request.method = method;
  request.url = server_ + target;
  request.headers = std::move(headers);
  request.timeout = timeout_ + Millis{static_cast<std::int64_t>(body.size()) / kSlowestBytesPerMs} + waiting.work;
  request.body = std::move(body);
  request.body_limit = kAnswerBytesMax;
  if (method == net::Method::post && !waiting.harmless && net::find_header(request.headers, "Idempotency-Key").empty())
    request.headers.push_back({"Idempotency-Key", make_ulid("fleetctl-", to_unix_ms(clock_->wall()), *random_)});
  auto const plain = request.headers.size();
  if (!token_.empty()) request.headers.push_back({"Authorization", "Bearer " + token_});
  auto answered = exchange(request, waiting);
  if (answered && answered->status == 401 && take_newer_token()) {
    request.headers.resize(plain);
    request.headers.push_back({"Authorization", "Bearer " + token_});
    answered = exchange(request, waiting);
  }
  if (!answered) {
    auto error = answered.error();
    last_problem_.clear();
    if (error.hint.empty() && error.kind == Kind::signature) error.hint = "is --ca the certificate of this server's CA? `fleetctl doctor` looks closer";
    return error;
  }
  if (answered->status < 200 || answered->status > 299) return problem_of(*answered);
  return Answer{answered->status, std::move(answered->headers), std::move(answered->body)};
}

/// The rest from `got` on, once.
Result<net::ClientResponse> Api::receive(std::string const& target, std::uint64_t size, std::uint64_t& got, std::function<Result<void>(BytesView)> const& sink) {
  net::ClientRequest request;
  request.url = server_ + target;
  request.timeout = timeout_;
  request.body_limit = size;
  if (!token_.empty()) request.headers.push_back({"Authorization", "Bearer " + token_});
  if (got > 0) request.headers.push_back({"Range", fmt::format("bytes={}-", got)});
  bool const resumed = got > 0;
  return client_.send(request, [&](net::ClientResponse const& head, BytesView piece) -> Result<void> {
    if (resumed && head.status != 206) return Error{Kind::internal, "no_range", fmt::format("GET {}: asked for a rest, status {} came", target, head.status)};
    if (piece.size() > size - got) return Error{Kind::too_large, "body_too_large", fmt::format("GET {}: more than {} bytes", target, size)};
    got += piece.size();
    return sink(piece);
  });
}

Result<void> Api::download(std::string const& target, std::uint64_t size, std::function<Result<void>(BytesView)> const& sink) {
  std::uint64_t got = 0, before = 0;
  for (Retry retry(*clock_, {patience_, true, answered_}); got < size;) {
    auto answer = receive(target, size, got, sink);
    answered_ = answered_ || answer.has_value();
    if (answer && answer->status < 300) continue;
    if (answer && answer->status == 401 && take_newer_token()) continue;
    if (std::exchange(before, got) < got) retry = Retry(*clock_, {patience_, true, answered_});  // it came on: patience begins anew
    auto const pause = retry.pause_after(answer);
    if (!pause) return answer ? problem_of(*answer) : answer.error();
    console_->pause(*pause);
  }
  return {};
}

Result<json::value> Api::get(Route const& route) {
  FLEET_TRY(auto const answer, send(net::Method::get, route.target()));
  return answer.json();
}

Result<Answer> Api::post(Route const& route, json::value const& body, std::string const& idempotency_key) {
  net::Headers headers{{"Content-Type", "application/json"}};
  if (!idempotency_key.empty()) headers.push_back({"Idempotency-Key", idempotency_key});
  return send(net::Method::post, route.target(), render::json_text(body, 0), std::move(headers));
}

Result<Answer> Api::change(net::Method method, Route const& route, json::value const& body, std::string const& etag) {
  return send(method, route.target(), render::json_text(body, 0), {{"Content-Type", "application/json"}, {"If-Match", etag}});
}

Result<std::string> Api::list(Route const& route, std::size_t limit, std::function<void(json::value const&)> const& item) {
  std::string cursor;
  std::size_t given = 0;
  while (true) {
    auto page = route;
    auto const want = limit == 0 ? kPageItems : std::min<std::size_t>(kPageItems, limit - given);
    page.with("limit", std::to_string(want)).with("cursor", cursor);
    FLEET_TRY(auto const answer, get(page));
    auto const* items = render::member(answer, "items").if_array();
    if (items == nullptr) return Error{Kind::internal, "bad_answer", "GET " + page.target() + ": expected a list with `items`"};
    for (auto const& one : *items) {
      if (limit != 0 && given == limit) break;
      item(one);
      ++given;
    }
    auto const next = render::text_at(answer, "next");
    if (next.empty() || (limit != 0 && given >= limit)) return next;
    if (next == cursor) return Error{Kind::internal, "bad_answer", "GET " + page.target() + ": the next page has the same cursor " + next};
    cursor = next;
  }
}

}  // namespace fleet::cli
