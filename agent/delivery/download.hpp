#pragma once

#include "agent/slots/slots.hpp"
#include "agent/store/budget.hpp"
#include "agent/trust/remote.hpp"
#include "agent/delivery/sources.hpp"
#include "core/base/random.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

namespace fleet::agent {

/// A token bucket in bytes, and the day's budget, for all models together; waits by asking `stop` every 100 ms. Thread-safe.
class Throttle {
public:
  Throttle(Clock& clock, std::uint64_t bytes_per_s, Budget budget = {}) : clock_(clock), rate_(bytes_per_s), budget_(std::move(budget)) {}
  /// Nothing more may be fetched today.
  [[nodiscard]] bool is_spent() const;
  /// @errors unavailable (code `interrupted`), throttled (code `over_budget`)
  Result<void> take(std::uint64_t bytes, std::atomic<bool> const& stop);

  [[nodiscard]] MonoTime now() const { return clock_.mono(); }

private:
  int refill();
  Clock& clock_;
  std::uint64_t rate_;
  mutable std::mutex mutex_;
  Budget budget_;
  double level_ = 0;
  MonoTime last_{};
};

/// Where a download takes files from.
struct DownloadPlan {
  std::string model, digest;
  wire::Variant const& variant;
  Sources& sources;
  std::string running_slot;  ///< of the version that runs: files of the same digest are copied; empty: none
  /// Asked at every piece: the device's own conditions. Its error ends the download.
  std::function<Result<void>()> may_go_on = {};
};

/// Brings every file of a variant into the staging folder: what is there already stays, what the running version has is copied, the rest is
/// fetched and resumed from the bytes that are there. A source that fails, or brings what is not the file, is passed over for the next and left
/// alone for a while. Reserves the space first.
/// @errors unavailable (disk_full, network, interrupted), throttled (over_budget), what `may_go_on` says, timeout, unprocessable (digest_mismatch, too_long: of the last source),
/// not_found
Result<void> download(Fs& fs, Slots& slots, Remote& remote, Throttle& throttle, DownloadPlan const& plan, std::atomic<bool> const& stop);

}  // namespace fleet::agent
