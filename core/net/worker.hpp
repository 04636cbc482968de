#pragma once

#include "core/net/egress.hpp"
#include "core/net/server.hpp"
#include "core/net/sessions.hpp"
#include "core/net/socket.hpp"
#include "core/net/tls.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace fleet::net {

class Connection;
/// Concrete executor: any_io_executor costs 12 % of an idle poll.
using Descriptor = boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type>;

struct Listener {
  ListenerConfig config;
  std::unique_ptr<Sessions> sessions;
  std::unique_ptr<CurrentTls> tls;
  std::uint16_t port = 0;
};

struct Counters {
  std::atomic<std::uint64_t> accepted{0}, connections_refused{0}, requests{0}, requests_refused{0}, handshakes{0}, resumed{0}, handshake_failures{0},
      timed_out{0}, file_bytes{0};
};
/// One thread alone writes each counter: a plain add without a lock prefix.
inline void count(std::atomic<std::uint64_t>& counter, std::uint64_t more = 1) { counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed); }

/// What the io threads share: fixed before they start, save the number of open connections and what may leave.
struct Shared {
  Shared(ServerLimits l, Clock& c) : limits(l), clock(c), egress(l.egress) {}
  std::vector<Listener> listeners;
  ServerLimits const limits;
  Clock& clock;
  Egress egress;
  std::atomic<std::size_t> open{0};
};

/// One io thread: its own io_context, acceptors, connections, timers and scratch memory. Everything but post() and the counters belongs to that thread.
class Worker : public std::enable_shared_from_this<Worker> {
public:
  static constexpr Millis kTick{100};

  Worker(std::shared_ptr<Shared> shared, std::size_t index);
  ~Worker();
  /// Takes a listening socket for `listener`; before run().
  void add_acceptor(Listener const& listener, Fd fd);
  /// The thread's whole life: returns once drained.
  void run();
  [[nodiscard]] bool is_current() const;
  /// Runs `job` on this thread; from any thread.
  void post(std::function<void()> job);
  /// Runs `job` on this thread after `delay`, as the ticks have it; from any thread.
  void after(Millis delay, std::function<void()> job);
  /// Begins the end: no more connections, idle ones close, the rest until `deadline`; from any thread.
  void drain(MonoTime deadline);

  // For connections, on this thread.
  void adopt(std::shared_ptr<Connection> connection);
  void forget(Connection const& connection);
  void set_deadline(Connection const& connection, Millis from_now);
  void clear_deadline(Connection const& connection);
  [[nodiscard]] MonoTime now() const { return now_; }  ///< of the last tick
  [[nodiscard]] bool draining() const { return draining_; }
  [[nodiscard]] std::string const& date_line() const { return date_line_; }
  [[nodiscard]] std::string make_request_id();
  [[nodiscard]] Shared& shared() { return *shared_; }

  Counters counters;
  boost::asio::io_context io{1};
  std::array<char, 32 * 1024> read_scratch{};  ///< what was just received
  std::array<char, 32 * 1024> file_scratch{};  ///< a piece of a file on its way out: 16 to 32 KiB cost the least, 64 a tenth more
  std::string out_scratch;                     ///< head and small body of an answer
  std::uint64_t stranger_bodies = 0;           ///< bytes that strangers' bodies under way may take
  std::uint64_t known_bodies = 0;              ///< the same of those who are known
  Connection* handling = nullptr;              ///< whose request a handler is looking at right now
  std::optional<Response> inline_answer;       ///< given before that handler returned

private:
  struct Acceptor {
    Listener const& listener;
    Descriptor descriptor;
    Door door;
  };
  static constexpr MonoTime kNever = MonoTime::max();
  void arm(Acceptor& acceptor);
  void accept_some(Acceptor& acceptor);
  void open_connection(Acceptor& acceptor, Fd fd, struct sockaddr_storage const& from);
  void schedule_tick();
  void tick();
  void run_due_jobs();
  void sweep();
  void finish_drain();
  void begin_drain(MonoTime deadline);

  std::shared_ptr<Shared> shared_;
  std::size_t index_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, boost::asio::io_context::executor_type>
      timer_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::vector<MonoTime> deadlines_;  ///< beside connections_, by slot: a sweep reads nothing else
  std::multimap<MonoTime, std::function<void()>> jobs_;
  MonoTime now_{};
  std::string date_line_;
  std::int64_t date_second_ = -1;
  std::uint64_t refusals_ = 0;
  bool draining_ = false;
  MonoTime drain_until_ = kNever;
};

}  // namespace fleet::net
