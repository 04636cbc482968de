#include "core/net/worker.hpp"

#include "core/base/log.hpp"
#include "core/net/connection.hpp"
#include "core/net/resolve.hpp"
#include "core/net/response_head.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace fleet::net {
namespace {

thread_local Worker const* current_worker = nullptr;
/// A burst of new peers does not hold up those already here.
constexpr int kAcceptBatch = 64;
constexpr Millis kAcceptBackoff{500};

bool is_exhaustion(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

void run_job(std::function<void()> const& job) {
  try {
    job();
  } catch (std::exception const& bug) {
    log::error("net_job_failed", {{"what", bug.what()}});
  }
}

}  // namespace

Worker::Worker(std::shared_ptr<Shared> shared, std::size_t index) : shared_(std::move(shared)), index_(index), timer_(io.get_executor()) {
  now_ = shared_->clock.mono();
}

Worker::~Worker() = default;

bool Worker::is_current() const { return current_worker == this; }

void Worker::add_acceptor(Listener const& listener, Fd fd) {
  acceptors_.push_back(std::make_unique<Acceptor>(Acceptor{listener, Descriptor{io.get_executor(), fd.release()}, Door{listener.config.door}}));
}

void Worker::run() {
  current_worker = this;
  for (auto const& acceptor : acceptors_) arm(*acceptor);
  tick();
  io.run();
  acceptors_.clear();
  jobs_.clear();
  current_worker = nullptr;
}

void Worker::post(std::function<void()> job) {
  boost::asio::post(io, [job = std::move(job)] { run_job(job); });
}

void Worker::after(Millis delay, std::function<void()> job) {
  if (delay <= Millis{0}) return post(std::move(job));
  if (!is_current()) {
    boost::asio::post(io, [this, delay, job = std::move(job)]() mutable { after(delay, std::move(job)); });
    return;
  }
  jobs_.emplace(shared_->clock.mono() + delay, std::move(job));
}

void Worker::arm(Acceptor& acceptor) {
  acceptor.descriptor.async_wait(Descriptor::wait_read, [this, &acceptor](boost::system::error_code const& error) {
    if (!error) accept_some(acceptor);
  });
}

void Worker::accept_some(Acceptor& acceptor) {
  for (int i = 0; i < kAcceptBatch; ++i) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    Fd fd{::accept4(acceptor.descriptor.native_handle(), reinterpret_cast<sockaddr*>(&from), &length, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd) {
      open_connection(acceptor, std::move(fd), from);
      continue;
    }
    if (!is_exhaustion(errno)) break;
    log::warn("accept_backs_off", {{"listener", acceptor.listener.config.name}, {"error", system_words(errno)}});
    after(kAcceptBackoff, [this, &acceptor] {
      if (!draining_) arm(acceptor);
    });
    return;
  }
  arm(acceptor);
}

void Worker::open_connection(Acceptor& acceptor, Fd fd, sockaddr_storage const& from) {
  count(counters.accepted);
  shared_->open.fetch_add(1);
  int const on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto connection = std::make_shared<Connection>(*this, acceptor.listener, acceptor.door, std::move(fd), SocketAddress{from, sizeof from});
  adopt(connection);
  connection->start();
}

void Worker::adopt(std::shared_ptr<Connection> connection) {
  connection->slot = connections_.size();
  connections_.push_back(std::move(connection));
  deadlines_.push_back(kNever);
}

void Worker::forget(Connection const& connection) {
  auto const slot = connection.slot;
  auto const keep = std::move(connections_[slot]);
  connections_[slot] = std::move(connections_.back());
  deadlines_[slot] = deadlines_.back();
  if (connections_[slot]) connections_[slot]->slot = slot;
  connections_.pop_back();
  deadlines_.pop_back();
  shared_->open.fetch_sub(1);
}

void Worker::set_deadline(Connection const& connection, Millis from_now) { deadlines_[connection.slot] = now_ + from_now; }
void Worker::clear_deadline(Connection const& connection) { deadlines_[connection.slot] = kNever; }

std::string Worker::make_request_id() { return fmt::format("net-{}-{}-{}", index_, now_.time_since_epoch().count(), ++refusals_); }

void Worker::schedule_tick() {
  timer_.expires_after(kTick);
  timer_.async_wait([this](boost::system::error_code const& error) {
    if (!error) tick();
  });
}

void Worker::tick() {
  now_ = shared_->clock.mono();
  auto const wall = shared_->clock.wall();
  if (auto const second = to_unix_ms(wall) / 1000; second != date_second_) {
    date_second_ = second;
    date_line_ = make_date_line(wall);
  }
  if (shared_->egress.is_bound()) shared_->egress.refill(now_);
  run_due_jobs();
  sweep();
  if (draining_ && (connections_.empty() || now_ >= drain_until_)) finish_drain();
  else schedule_tick();
}

void Worker::run_due_jobs() {
  while (!jobs_.empty() && jobs_.begin()->first <= now_) {
    auto const job = std::move(jobs_.extract(jobs_.begin()).mapped());
    run_job(job);
  }
}

void Worker::sweep() {
  std::vector<std::shared_ptr<Connection>> late;
  for (std::size_t i = 0; i < deadlines_.size(); ++i)
    if (deadlines_[i] <= now_) late.push_back(connections_[i]);
  for (auto const& connection : late) connection->on_deadline();
}

void Worker::drain(MonoTime deadline) {
  boost::asio::post(io, [this, deadline] { begin_drain(deadline); });
}

void Worker::begin_drain(MonoTime deadline) {
  draining_ = true;
  drain_until_ = deadline;
  for (auto const& acceptor : acceptors_) acceptor->descriptor.close();
  for (auto const& connection : std::vector{connections_}) connection->drain();
}

void Worker::finish_drain() {
  for (auto const& connection : std::vector{connections_}) connection->close();
  io.stop();
}

}  // namespace fleet::net
