#pragma once

#include "server/store/store.hpp"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::registry {

/// What one device may do of a kind that grows the server: `most` at once, then one each `refill`.
struct QuotaRule {
  std::string_view what;
  double most = 0;
  Millis refill{0};
};
/// Events that its reports make.
inline constexpr QuotaRule kEventsOfDevice{"events", 100, std::chrono::seconds{36}};
/// Telemetry series that nobody reported before.
inline constexpr QuotaRule kSeriesOfDevice{"series", 64, std::chrono::hours{1}};
/// Intervals of the past that are told first by it; a device that returns after weeks brings many.
inline constexpr QuotaRule kIntervalsOfDevice{"intervals", 100'000, std::chrono::seconds{1}};
/// Renewals that bring another key before they are due, of certificates that last so long.
constexpr QuotaRule renewals_of_device(Millis lifetime) { return {"renewals", 10, lifetime / 12}; }

/// What is left of one kind, as it was noted.
struct QuotaRow {
  std::string what;
  double remaining = 0;
  SysTime as_of;
  std::int64_t exceeded = 0;
  SysTime told_at;
};
/// Rows of many devices (at most db::kSetMax) in one statement, by their number.
Result<std::map<std::int64_t, std::vector<QuotaRow>>> load_quotas(db::Connection& reader, std::span<std::int64_t const> devices);

/// A device's bucket of one kind, as its row has it: durable, so that a restart or another node forgives nothing.
class DeviceQuota {
public:
  static Result<DeviceQuota> load(store::Tx& tx, std::int64_t device_n, QuotaRule const& rule, SysTime now);
  /// @param rows  of the device, of any kinds
  DeviceQuota(std::int64_t device_n, QuotaRule const& rule, std::span<QuotaRow const> rows, SysTime now);
  /// One more; false: it is over, and counted.
  bool take();
  /// How many were over, once an hour at most: what people are told of them. 0: nothing to tell now.
  std::int64_t tell();
  /// When the next one is free.
  [[nodiscard]] Millis wait() const;
  Result<void> save(store::Tx& tx);

private:
  std::int64_t device_n_;
  QuotaRule rule_;
  SysTime now_;
  double left_;
  std::int64_t over_ = 0;
  SysTime told_{};
  bool changed_ = false;
};

}  // namespace fleet::registry
