// Loads an HTTP server, over TLS or plain, with N keep-alive connections in a closed loop: each sends its next request once the last was answered.
#include "tests/bench/load_connection.hpp"

#include "core/base/fs.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <vector>

namespace fleet::bench {
namespace {

constexpr std::string_view kUsage = R"(usage: fleet-load --url http[s]://HOST:PORT/PATH [--ca FILE] [--cert FILE --key FILE] [--body FILE]
                  [--identities FILE] [--connections N (64)] [--seconds S (5) | --requests N | --once 1] [--hold S] [--handshakes N [--resume 1]]
       fleet-load --make-identities N --identities FILE
  GET, or POST of FILE as application/json, whose "sequence":1000000000, where it has that, is a higher number each time; each connection asks at once, lest it is taken for a stranger's. --hold asks once on each and keeps
  them idle. --once: each until it has one 2xx; who is told to come later waits as long. --make-identities makes keys and certificates, prints the SHA-256 of each public key; with them each connection is a device of its own. --handshakes opens N connections one after
  the other, asks once on each, and with --resume offers each the session of the one before.
  Prints one line of key=value. Exit code 1 when an answer was no 2xx, 8 when the server could not be reached.
)";
using SteadyClock = std::chrono::steady_clock;

/// What each connection asks again and again. A report that is sent twice is a repeat: where the text has that number, each of a connection has another, above
/// those of earlier runs.
class Request {
public:
  void set(std::string text, std::size_t connections) {
    constexpr std::string_view kFirst = "\"sequence\":1000000000";
    text_ = std::move(text);
    if (auto const found = text_.find(kFirst); found != std::string::npos) at_ = found + kFirst.size() - kDigits;
    auto const now = std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    last_.assign(connections, 1'000'000'000 + now % 80'000 * 100'000);
  }
  std::string const& next(std::size_t connection) {
    if (at_ != std::string::npos) text_.replace(at_, kDigits, std::to_string(++last_[connection]));
    return text_;
  }

private:
  static constexpr std::size_t kDigits = 10;
  std::string text_;
  std::size_t at_ = std::string::npos;
  std::vector<std::int64_t> last_;
};

struct Options {
  net::ClientConfig tls;
  std::vector<Identity> identities;
  net::Url url;
  Request request;
  std::size_t connections = 64;
  std::uint64_t requests = 0;
  double seconds = 5;
  double hold_seconds = 0;
  std::uint64_t handshakes = 0;
  bool resume = false;
  bool once = false;
};

struct Tally {
  std::uint64_t answered = 0;
  std::uint64_t bad = 0;
  std::uint64_t later = 0;
  std::uint64_t failed = 0;
  std::uint64_t body_bytes = 0;
  std::vector<std::uint32_t> latencies_us;
};

Result<std::string> read_file(std::map<std::string, std::string> const& given, std::string const& name) {
  auto const found = given.find(name);
  if (found == given.end()) return std::string{};
  return system_fs().read(found->second, 64 * 1024 * 1024);
}

Result<Options> parse(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  Options options;
  FLEET_TRY(options.url, net::Url::parse(given["--url"]));
  FLEET_TRY(options.tls.ca_pem, read_file(given, "--ca"));
  FLEET_TRY(options.tls.certificate_pem, read_file(given, "--cert"));
  FLEET_TRY(options.tls.private_key_pem, read_file(given, "--key"));
  FLEET_TRY(auto const body, read_file(given, "--body"));
  FLEET_TRY(auto const identities, read_file(given, "--identities"));
  FLEET_TRY(options.identities, read_identities(identities));
  bool const post = given.contains("--body");
  auto request =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: fleet-load\r\n", post ? "POST" : "GET", options.url.target, options.url.host, options.url.port);
  if (post) request += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  auto const number = [&](char const* name, double fallback) { return given.contains(name) ? std::atof(given[name].c_str()) : fallback; };
  options.connections = static_cast<std::size_t>(number("--connections", 64));
  options.request.set(request + "\r\n" + body, std::max<std::size_t>(options.connections, 1));
  options.requests = static_cast<std::uint64_t>(number("--requests", 0));
  options.once = number("--once", 0) > 0;
  options.seconds = number("--seconds", options.requests > 0 || options.once ? 3600 : 5);
  options.hold_seconds = number("--hold", 0);
  options.handshakes = static_cast<std::uint64_t>(number("--handshakes", 0));
  options.resume = number("--resume", 0) > 0;
  return options;
}

double seconds_since(SteadyClock::time_point start) { return std::chrono::duration<double>(SteadyClock::now() - start).count(); }

struct Epoll {
  Epoll() : fd(::epoll_create1(EPOLL_CLOEXEC)) {}
  void add(int connection, std::size_t index) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    ::epoll_ctl(fd.get(), EPOLL_CTL_ADD, connection, &event);
  }
  net::Fd fd;
};

/// Takes one ready connection on. True when it answered and may send again.
bool take_answer(LoadConnection& connection, Tally& tally) {
  auto const step = connection.receive();
  if (step == LoadConnection::Step::waits) return false;
  if (step == LoadConnection::Step::failed) {
    ++tally.failed;
    return false;
  }
  ++tally.answered;
  if (connection.status() / 100 != 2) ++tally.bad;
  auto const took = std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now() - connection.sent_at).count();
  tally.latencies_us.push_back(static_cast<std::uint32_t>(took));
  return true;
}

Tally run_loop(std::vector<LoadConnection>& connections, Options& options) {
  Tally tally;
  Epoll const epoll;
  auto const start = SteadyClock::now();
  for (std::size_t i = 0; i < connections.size(); ++i) epoll.add(connections[i].fd(), i);
  std::array<epoll_event, 256> events{};
  auto const more = [&] {
    bool const wanted = options.requests == 0 || tally.answered < options.requests;
    return wanted && tally.failed < connections.size() && seconds_since(start) < options.seconds;
  };
  while (more()) {
    int const ready = ::epoll_wait(epoll.fd.get(), events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < ready; ++i) {
      auto const index = events[static_cast<std::size_t>(i)].data.u64;
      auto& connection = connections[index];
      if (take_answer(connection, tally) && connection.send(options.request.next(index)) == LoadConnection::Step::failed) ++tally.failed;
    }
  }
  for (auto const& connection : connections) tally.body_bytes += connection.body_bytes();
  return tally;
}

/// Each connection until it has what it asked for; who is told to come later asks again then.
Tally run_once(std::vector<LoadConnection>& connections, Options& options) {
  Tally tally;
  Epoll const epoll;
  auto const start = SteadyClock::now();
  std::multimap<SteadyClock::time_point, std::size_t> due;
  for (std::size_t i = 0; i < connections.size(); ++i) epoll.add(connections[i].fd(), i);
  std::array<epoll_event, 256> events{};
  while (tally.answered - tally.later + tally.failed < connections.size() && seconds_since(start) < options.seconds) {
    int const ready = ::epoll_wait(epoll.fd.get(), events.data(), static_cast<int>(events.size()), 20);
    for (int i = 0; i < ready; ++i) {
      auto const index = events[static_cast<std::size_t>(i)].data.u64;
      auto& connection = connections[index];
      auto const failed = tally.failed;
      bool const answered = take_answer(connection, tally);
      if (tally.failed > failed) ::epoll_ctl(epoll.fd.get(), EPOLL_CTL_DEL, connection.fd(), nullptr);
      if (!answered || connection.retry_after_s() == 0) continue;
      ++tally.later;
      --tally.bad;
      due.emplace(SteadyClock::now() + seconds{connection.retry_after_s()}, index);
    }
    for (; !due.empty() && due.begin()->first <= SteadyClock::now(); due.erase(due.begin()))
      if (connections[due.begin()->second].send(options.request.next(due.begin()->second)) == LoadConnection::Step::failed) ++tally.failed;
  }
  for (auto const& connection : connections) tally.body_bytes += connection.body_bytes();
  return tally;
}

std::uint32_t percentile(std::vector<std::uint32_t>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

Result<std::vector<LoadConnection>> open_all(SSL_CTX* context, Options& options, std::size_t count) {
  FLEET_TRY(auto never, net::Waker::create());
  std::vector<LoadConnection> connections;
  for (std::size_t i = 0; i < count; ++i) {
    auto const* const identity = options.identities.empty() ? nullptr : &options.identities[i % options.identities.size()];
    FLEET_TRY(auto connection, LoadConnection::open(context, options.url, {system_clock(), system_clock().mono() + seconds{30}, never}, identity));
    if (connection.send(options.request.next(i)) == LoadConnection::Step::failed)
      return Error{Kind::unavailable, "no_answer", "the server closed a connection"};
    connections.push_back(std::move(connection));
  }
  return connections;
}

Result<int> run_handshakes(SSL_CTX* context, Options& options) {
  FLEET_TRY(auto never, net::Waker::create());
  net::SslPtr<SSL_SESSION> session;
  std::uint64_t resumed = 0;
  auto const start = SteadyClock::now();
  for (std::uint64_t i = 0; i < options.handshakes; ++i) {
    net::Patience const patience{system_clock(), system_clock().mono() + seconds{30}, never};
    FLEET_TRY(auto connection, LoadConnection::open(context, options.url, patience, nullptr, session.get()));
    resumed += connection.resumed();
    auto step = connection.send(options.request.next(0));
    while (step == LoadConnection::Step::waits) {
      FLEET_CHECK(net::wait_for(connection.fd(), POLLIN, patience));
      step = connection.receive();
    }
    if (step == LoadConnection::Step::failed) return Error{Kind::unavailable, "no_answer", "the server closed the connection"};
    if (options.resume) session = connection.session();
  }
  auto const took = seconds_since(start);
  fmt::print("handshakes={} resumed={} seconds={:.3f} per_s={:.0f}\n", options.handshakes, resumed, took, static_cast<double>(options.handshakes) / took);
  return 0;
}

Result<int> run(int argc, char** argv) {
  if (std::string_view(argv[1]) == "--make-identities" && argc == 5) {
    FLEET_CHECK(make_identities(static_cast<std::size_t>(std::atoi(argv[2])), argv[4]));
    return 0;
  }
  FLEET_TRY(auto options, parse(argc, argv));
  net::SigpipeBlocked const guard;
  FLEET_TRY(auto const context, net::make_client_context(options.tls, &system_clock()));
  if (options.tls.ca_pem.empty()) SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  if (options.handshakes > 0) return run_handshakes(context.get(), options);
  FLEET_TRY(auto connections, open_all(options.url.scheme == "https" ? context.get() : nullptr, options, options.connections));
  if (options.hold_seconds > 0) {
    fmt::print("holding={}\n", connections.size());
    std::fflush(stdout);
    Epoll const epoll;
    epoll_event event{};
    ::epoll_wait(epoll.fd.get(), &event, 1, static_cast<int>(options.hold_seconds * 1000));
    return 0;
  }
  auto const start = SteadyClock::now();
  auto tally = options.once ? run_once(connections, options) : run_loop(connections, options);
  auto const took = seconds_since(start);
  std::sort(tally.latencies_us.begin(), tally.latencies_us.end());
  fmt::print("requests={} seconds={:.3f} requests_per_s={:.0f} p50_us={} p99_us={} max_us={} bad={} failed={} later={} body_bytes={}\n", tally.answered, took,
             static_cast<double>(tally.answered) / took, percentile(tally.latencies_us, 0.5), percentile(tally.latencies_us, 0.99),
             percentile(tally.latencies_us, 1.0), tally.bad, tally.failed, tally.later, tally.body_bytes);
  return tally.bad + tally.failed > 0 ? 1 : 0;
}

}  // namespace
}  // namespace fleet::bench

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "{}", fleet::bench::kUsage);
    return 2;
  }
  auto const result = fleet::bench::run(argc, argv);
  if (result) return *result;
  fmt::print(stderr, "fleet-load: {}\n", result.error().detail);
  return fleet::exit_code(result.error().kind);
}
