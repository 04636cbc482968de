#include "core/net/client.hpp"

#include "core/net/ascii.hpp"
#include "core/net/client_connection.hpp"
#include "core/net/response_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <list>
#include <optional>
#include <vector>

namespace fleet::net {
namespace {

constexpr std::size_t kOriginsKept = 4;
constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kSentAtOnce = 8 * 1024;
/// A server that answers nothing but interim answers keeps nobody for ever.
constexpr int kInterimAnswersMax = 8;

/// The time that so many bytes may take.
Millis earned(std::size_t bytes) { return Millis{static_cast<std::int64_t>(bytes) * 1000 / kBytesPerSecondMin}; }

/// Holds a body to its least rate.
class BodyPace {
public:
  BodyPace(Clock& clock, Millis silence) : clock_(clock), silence_(silence) {}
  /// A wait begins. @returns when it has lasted too long
  MonoTime wait() {
    began_ = clock_.mono();
    return began_ + std::min(silence_, left_);
  }
  void came(std::size_t bytes) {
    left_ -= clock_.mono() - began_;
    bytes_ += bytes;
    if (bytes_ < kBodyBytesMin) return;
    bytes_ = 0;
    left_ = kBodyBytesMinWithin;
  }
  [[nodiscard]] Error explain(Error error) const {
    if (error.kind == Kind::timeout) error.detail = fmt::format("the body came to a halt, or slower than {} bytes a minute", kBodyBytesMin);
    return error;
  }

private:
  Clock& clock_;
  Millis silence_;
  Millis left_ = kBodyBytesMinWithin;  ///< of waiting, until bytes_ must be enough
  std::uint64_t bytes_ = 0;
  MonoTime began_{};
};

/// What is kept for one scheme, host and port.
struct Origin {
  std::string key;
  std::optional<ClientConnection> connection;
  SslPtr<SSL_SESSION> session;
};

bool is_repeatable(ClientRequest const& request) {
  return (request.method != Method::post && request.method != Method::patch) || !find_header(request.headers, "Idempotency-Key").empty();
}

bool may_have_body(Method method) { return method == Method::post || method == Method::put || method == Method::patch; }

Result<std::string> render_head(ClientRequest const& request, Url const& url, std::string_view user_agent) {
  auto const host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
  auto const default_port = url.scheme == "https" ? 443 : 80;
  std::string out = fmt::format("{} {} HTTP/1.1\r\nHost: {}", to_string(request.method), url.target, host);
  if (url.port != default_port) out += fmt::format(":{}", url.port);
  out += "\r\n";
  if (!user_agent.empty()) out += fmt::format("User-Agent: {}\r\n", user_agent);
  for (auto const& [name, value] : request.headers) {
    if (!is_header_name(name) || !is_header_value(value))
      return Error{Kind::bad_input, "bad_header", fmt::format("header '{}': a character that no header may have", name)};
    out += fmt::format("{}: {}\r\n", name, value);
  }
  if (!request.body.empty() || may_have_body(request.method)) out += fmt::format("Content-Length: {}\r\n", request.body.size());
  out += "\r\n";
  return out;
}

}  // namespace

struct Client::State {
  State(ClientConfig c, Clock& k, Waker w, SslPtr<SSL_CTX> x) : config(std::move(c)), clock(k), cancel(std::move(w)), context(std::move(x)) {}

  struct Failure {
    Error error;
    bool answered = false;  ///< some of the answer had come
  };
  /// One try over `origin`'s connection, which is kept only when it can serve again.
  boost::system::result<ClientResponse, Failure> exchange(Origin& origin, ClientRequest const& request, std::string const& head, BodySink const& sink);
  boost::system::result<ClientResponse, Failure> read_answer(ClientConnection& connection, ClientRequest const& request, BodySink const& sink, bool& reusable,
                                                             Patience patience);
  Result<void> connect(Origin& origin, Url const& url, Millis timeout);
  Origin& origin_of(Url const& url);
  void retire(Origin& origin);

  ClientConfig config;
  Clock& clock;
  Waker cancel;
  SslPtr<SSL_CTX> context;
  std::list<Origin> origins;  ///< the one used last is first
};

Origin& Client::State::origin_of(Url const& url) {
  auto const key = fmt::format("{}://{}:{}", url.scheme, url.host, url.port);
  auto const found = std::find_if(origins.begin(), origins.end(), [&](Origin const& origin) { return origin.key == key; });
  if (found != origins.end()) {
    origins.splice(origins.begin(), origins, found);
  } else {
    origins.push_front({key, std::nullopt, nullptr});
    if (origins.size() > kOriginsKept) origins.pop_back();
  }
  return origins.front();
}

void Client::State::retire(Origin& origin) {
  if (!origin.connection) return;
  if (auto session = origin.connection->session()) origin.session = std::move(session);
  origin.connection.reset();
}

Result<void> Client::State::connect(Origin& origin, Url const& url, Millis timeout) {
  Patience const patience{clock, clock.mono() + std::min(timeout, config.connect), cancel};
  // A session serves once: TLS 1.3 asks for it, lest an observer link two connections.
  auto const session = std::move(origin.session);
  auto opened = ClientConnection::open(url, config.proxy.find(url), url.scheme == "https" ? context.get() : nullptr, session.get(), patience,
                                       std::min(timeout, config.handshake));
  if (!opened) return opened.error();
  origin.connection.emplace(*std::move(opened));
  return {};
}

boost::system::result<ClientResponse, Client::State::Failure> Client::State::read_answer(ClientConnection& connection, ClientRequest const& request,
                                                                                         BodySink const& sink, bool& reusable, Patience patience) {
  auto const latest = patience.until + kEarnedMax;  // a peer that drips a document as large as may be must not hold us for hours
  std::vector<char> buffer(kReadBytes);
  std::string rest;
  int interim = 0;
  std::optional<ResponseParser> parser;
  parser.emplace(request, sink);
  bool answered = false;
  BodyPace pace(clock, request.timeout);
  for (;;) {
    bool const sinks = sink && parser->in_good_body();
    if (sinks) patience.until = pace.wait();
    auto const got = connection.read(buffer, patience);
    if (!got) return Failure{sinks ? pace.explain(got.error()) : got.error(), answered};
    if (*got == 0) {
      if (auto const ended = parser->feed_end(); !ended) return Failure{ended.error(), answered};
      return std::move(parser->response());
    }
    answered = true;
    if (sinks) pace.came(*got);
    else patience.until = std::min(latest, patience.until + earned(*got));
    rest.append(buffer.data(), *got);
    for (bool more = true; more && !rest.empty();) {
      auto const used = parser->feed(rest);
      if (!used) return Failure{used.error(), true};
      rest.erase(0, *used);
      more = *used > 0;
      if (!parser->is_done()) continue;
      if (parser->response().status / 100 != 1) {
        reusable = parser->keep_alive() && rest.empty();
        return std::move(parser->response());
      }
      if (++interim > kInterimAnswersMax) return Failure{{Kind::bad_input, "bad_answer", "too many interim answers"}, true};
      parser.emplace(request, sink);
    }
  }
}

boost::system::result<ClientResponse, Client::State::Failure> Client::State::exchange(Origin& origin, ClientRequest const& request, std::string const& head,
                                                                                      BodySink const& sink) {
  Patience const patience{clock, clock.mono() + request.timeout + earned(request.body.size()), cancel};
  auto& connection = *origin.connection;
  // Where both are small they are one record and one segment: a poll costs a packet less.
  bool const at_once = head.size() + request.body.size() <= kSentAtOnce;
  auto written = connection.write(at_once ? head + request.body : head, patience);
  if (written && !at_once) written = connection.write(request.body, patience);
  bool const lost = !written && written.error().code == "connection_lost";
  if (!written && !lost) {
    origin.connection.reset();
    return Failure{written.error(), false};
  }
  // A server that refuses a body (413) answers and closes before it was sent: that answer is worth reading.
  bool reusable = false;
  auto answer = read_answer(connection, request, sink, reusable, {clock, clock.mono() + std::max(Millis{1}, patience.until - clock.mono()), cancel});
  if (!answer && lost && !answer.error().answered) answer = Failure{written.error(), false};
  if (!reusable || lost) retire(origin);
  return answer;
}

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<void> Client::check(ClientConfig const& config) {
  FLEET_CHECK(make_client_context(config, nullptr));
  return {};
}

Result<Client> Client::create(ClientConfig config, Clock& clock) {
  FLEET_TRY(auto context, make_client_context(config, &clock));
  FLEET_TRY(auto waker, Waker::create());
  return Client{std::make_unique<State>(std::move(config), clock, std::move(waker), std::move(context))};
}

Result<ClientResponse> Client::send(ClientRequest const& request, BodySink const& sink) {
  FLEET_TRY(auto const url, Url::parse(request.url));
  if (url.scheme == "http" && !state_->config.allow_plain_http)
    return Error{Kind::bad_input, "plain_http", fmt::format("'{}' is not https", request.url), "give an https:// address"};
  FLEET_TRY(auto const head, render_head(request, url, state_->config.user_agent));
  SigpipeBlocked const guard;
  auto& origin = state_->origin_of(url);
  if (origin.connection && !origin.connection->fresh()) state_->retire(origin);
  bool const kept = origin.connection.has_value();
  if (!kept) FLEET_CHECK(state_->connect(origin, url, request.timeout));
  auto answer = state_->exchange(origin, request, head, sink);
  if (!answer && kept && !answer.error().answered && answer.error().error.code == "connection_lost" && is_repeatable(request)) {
    FLEET_CHECK(state_->connect(origin, url, request.timeout));
    answer = state_->exchange(origin, request, head, sink);
  }
  if (!answer) {
    auto error = answer.error().error;
    if (answer.error().answered && error.code == "connection_lost") error.code = "answer_cut";
    error.detail = fmt::format("{} {}: {}", to_string(request.method), request.url, error.detail);
    return error;
  }
  return *std::move(answer);
}

Connect over_network() {
  return [](ClientConfig config, Clock& clock) -> Result<std::unique_ptr<Exchanger>> {
    FLEET_TRY(auto client, Client::create(std::move(config), clock));
    return std::unique_ptr<Exchanger>(std::make_unique<Client>(std::move(client)));
  };
}

void Client::cancel() { state_->cancel.wake(); }

void Client::reset() { state_->origins.clear(); }

}  // namespace fleet::net
