#include "core/net/server.hpp"

#include "core/base/log.hpp"
#include "core/net/resolve.hpp"
#include "core/net/response_head.hpp"
#include "core/net/worker.hpp"

#include <fmt/format.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

namespace fleet::net {

Responder::Responder(std::shared_ptr<Sink> sink) : sink_(std::move(sink)) {}

Responder& Responder::operator=(Responder&& other) noexcept {
  std::swap(sink_, other.sink_);
  return *this;
}

Responder::~Responder() {
  if (sink_) sink_->answer(make_problem(503, "no_answer", "the server dropped the request unanswered", "try again", ""));
}

void Responder::operator()(Response response) {
  if (auto const sink = std::move(sink_)) sink->answer(std::move(response));
}

bool Responder::alive() const { return sink_ && sink_->alive(); }

namespace {

constexpr int kBacklog = 4096;
constexpr unsigned kThreadsMax = 256;
constexpr std::size_t kSessionsKept = 50'000;  // of a listener, some 600 bytes each

Error cannot_listen(ListenerConfig const& config, std::uint16_t port, std::string_view step, int error) {
  return {Kind::unavailable, "cannot_listen", fmt::format("listener {}: {} on {}:{}: {}", config.name, step, config.address, port, system_words(error)),
          "is another program using the address, or is it not of this machine?"};
}

/// A listening socket. Without `shared` binding fails when anybody listens there already.
Result<Fd> listen_on(ListenerConfig const& config, std::uint16_t port, bool shared) {
  FLEET_TRY(auto const address, numeric_address(config.address, port));
  Fd fd{::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) return cannot_listen(config, port, "socket", errno);
  int const on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (::bind(fd.get(), address.get(), address.length) != 0) return cannot_listen(config, port, "bind", errno);
  if (::listen(fd.get(), kBacklog) != 0) return cannot_listen(config, port, "listen", errno);
  return fd;
}

std::uint16_t port_of(Fd const& fd) {
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &length);
  auto const port = bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6 const&>(bound).sin6_port : reinterpret_cast<sockaddr_in const&>(bound).sin_port;
  return ntohs(port);
}

/// Signals are the main thread's; SIGPIPE is nobody's.
void block_signals() {
  sigset_t all;
  ::sigfillset(&all);
  for (int const fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) ::sigdelset(&all, fault);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

class ThreadedServer final : public Server {
public:
  ThreadedServer(std::shared_ptr<Shared> shared, std::vector<std::shared_ptr<Worker>> workers) : shared_(std::move(shared)), workers_(std::move(workers)) {}

  ~ThreadedServer() override {
    stop(Millis{0});
    // Handlers keep parked Responders, these keep workers, and workers keep the handlers: cut here.
    shared_->listeners.clear();
  }

  [[nodiscard]] std::uint16_t port(std::size_t listener) const override { return shared_->listeners.at(listener).port; }

  Result<void> replace_certificate(std::string const& certificate_pem, std::string const& private_key_pem) override {
    std::vector<SslPtr<SSL_CTX>> made;  // all or none
    for (auto const& listener : shared_->listeners) {
      if (listener.config.plain) {
        made.emplace_back();
        continue;
      }
      auto config = listener.config;
      config.certificate_pem = certificate_pem;
      config.private_key_pem = private_key_pem;
      FLEET_TRY(auto context, make_server_context(config));
      listener.sessions->serve(context.get());
      made.push_back(std::move(context));
    }
    for (std::size_t i = 0; i < made.size(); ++i) shared_->listeners[i].tls->replace(std::move(made[i]));
    return {};
  }

  void start() override {
    for (auto const& worker : workers_)
      threads_.emplace_back([worker] {
        block_signals();
        worker->run();
      });
  }

  void stop(Millis deadline) override {
    for (auto const& worker : workers_) worker->drain(shared_->clock.mono() + deadline);
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  [[nodiscard]] ServerCounters counters() const override {
    ServerCounters sum;
    sum.open = shared_->open.load();
    for (auto const& worker : workers_) {
      auto const& one = worker->counters;
      sum.accepted += one.accepted;
      sum.requests += one.requests;
      sum.connections_refused += one.connections_refused;
      sum.requests_refused += one.requests_refused;
      sum.handshakes += one.handshakes;
      sum.resumed += one.resumed;
      sum.handshake_failures += one.handshake_failures;
      sum.timed_out += one.timed_out;
      sum.file_bytes += one.file_bytes;
    }
    sum.egress_waiting = shared_->egress.waiting();
    return sum;
  }

  [[nodiscard]] bool egress_is_spent() const override { return shared_->egress.waiting() > 0; }

  void after(std::size_t io_thread, Millis delay, std::function<void()> job) override { workers_.at(io_thread)->after(delay, std::move(job)); }
  [[nodiscard]] std::size_t threads() const override { return workers_.size(); }
  [[nodiscard]] std::size_t current_thread() const override {
    auto const found = std::find_if(workers_.begin(), workers_.end(), [](auto const& worker) { return worker->is_current(); });
    return static_cast<std::size_t>(found - workers_.begin());
  }

private:
  std::shared_ptr<Shared> shared_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::create(std::vector<ListenerConfig> listeners, ServerLimits limits, unsigned threads, Clock& clock) {
  auto const shared = std::make_shared<Shared>(limits, clock);
  auto const count = std::clamp(threads, 1U, kThreadsMax);
  for (auto& config : listeners) {
    SslPtr<SSL_CTX> tls;
    auto sessions = std::make_unique<Sessions>(kSessionsKept);
    if (!config.plain) {
      FLEET_TRY(tls, make_server_context(config));
      sessions->serve(tls.get());
    }
    config.door = config.door.shared_by(count);
    shared->listeners.push_back({std::move(config), std::move(sessions), std::make_unique<CurrentTls>(std::move(tls)), 0});
  }
  std::vector<std::shared_ptr<Worker>> workers;
  for (unsigned i = 0; i < count; ++i) workers.push_back(std::make_shared<Worker>(shared, i));
  for (auto& listener : shared->listeners) {
    // SO_REUSEPORT would let a second server of the same user take half of our peers unseen: ask without it first.
    if (listener.config.port != 0) FLEET_CHECK(listen_on(listener.config, listener.config.port, false));
    listener.port = listener.config.port;
    for (auto const& worker : workers) {
      FLEET_TRY(auto fd, listen_on(listener.config, listener.port, true));
      listener.port = port_of(fd);
      worker->add_acceptor(listener, std::move(fd));
    }
  }
  return std::unique_ptr<Server>{std::make_unique<ThreadedServer>(shared, std::move(workers))};
}

}  // namespace fleet::net
