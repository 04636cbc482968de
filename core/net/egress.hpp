#pragma once

#include "core/base/time.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

namespace fleet::net {

/// What may leave a server, of files, for all its connections together: a token bucket. Whoever finds it empty waits in one line for all io threads, a
/// quantum each time, so that a reader that is quick gets no more than the others, and one that is slow holds up nobody: it does not ask before it has
/// sent what it was given. Thread-safe; time is given.
class Egress {
public:
  /// That many bytes may go. Called by `refill`, on its thread.
  using Grant = std::function<void(std::uint64_t bytes)>;

  /// @param bytes_per_s  0: no bound
  explicit Egress(std::uint64_t bytes_per_s);
  [[nodiscard]] bool is_bound() const { return rate_ > 0; }
  /// How many of `wanted` bytes may go now, at most a quantum; 0: none, and `grant` is called once, later.
  [[nodiscard]] std::uint64_t ask(std::uint64_t wanted, Grant grant);
  /// What was given and not sent.
  void give_back(std::uint64_t bytes);
  /// To be called each tenth of a second or so: what came since then is given to those who wait.
  void refill(MonoTime now);
  [[nodiscard]] std::size_t waiting() const;
  /// A twentieth of a second's bytes, 4 to 256 KiB.
  [[nodiscard]] std::uint64_t quantum() const { return quantum_; }

private:
  struct Waiting {
    std::uint64_t wanted = 0;
    Grant grant;
  };
  std::uint64_t const rate_, quantum_;
  mutable std::mutex mutex_;
  std::deque<Waiting> line_;
  double level_ = 0;  ///< below 0 by a quantum at most, given ahead
  MonoTime last_{};
  bool started_ = false;
};

}  // namespace fleet::net
