#pragma once

#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>

namespace fleet::s3 {

/// How it goes with a store, for /readyz, doctor and /metrics. Thread-safe.
class Watch {
public:
  struct Figures {
    std::uint64_t asked = 0;      ///< operations, each with all its attempts
    std::uint64_t again = 0;      ///< attempts after the first
    std::uint64_t failed = 0;     ///< operations that failed in the end, absent objects aside
    std::uint64_t throttled = 0;  ///< answers that said: slower
    std::uint64_t altered = 0;    ///< answers that were not what was given, or not whole
    std::uint64_t bytes_in = 0, bytes_out = 0;
  };
  struct Trouble {
    Error error;
    SysTime since{};  ///< nothing went well since then
  };

  /// An attempt failed, and another comes or not.
  void stumbled(Error const& error, bool comes_again);
  /// An operation ended. @param error  nothing: it went well
  void ended(std::optional<Error> const& error, SysTime now);
  void carried(std::uint64_t in, std::uint64_t out);
  [[nodiscard]] Figures figures() const;
  /// The last failure, where nothing went well since.
  [[nodiscard]] std::optional<Trouble> trouble() const;

private:
  mutable std::mutex mutex_;
  Figures figures_;
  std::optional<Trouble> trouble_;
};

}  // namespace fleet::s3
