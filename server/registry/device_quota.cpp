#include "server/registry/device_quota.hpp"

#include "server/registry/queries.hpp"

#include <algorithm>
#include <utility>

namespace fleet::registry {
namespace {

constexpr std::chrono::hours kTellEvery{1};

}  // namespace

Result<std::vector<DeviceQuota>> DeviceQuota::load(store::Tx& tx, std::int64_t device_n, std::initializer_list<QuotaRule> rules, SysTime now) {
  std::vector<DeviceQuota> out;
  for (auto const& rule : rules) out.push_back(DeviceQuota(device_n, rule, now));
  auto row = tx.prepare(queries::kQuotas);
  row.bind_all(device_n);
  while (true) {
    FLEET_TRY(bool const more, row.step());
    if (!more) return out;
    for (auto& quota : out) {
      if (quota.rule_.what != row.text_view(0)) continue;
      auto const past = std::max(Millis{0}, now - from_unix_ms(row.int64(2)));
      quota.left_ = std::min(quota.rule_.most, row.real(1) + static_cast<double>(past.count()) / static_cast<double>(quota.rule_.refill.count()));
      quota.over_ = row.int64(3);
      quota.told_ = from_unix_ms(row.int64(4));
    }
  }
}

Result<DeviceQuota> DeviceQuota::load(store::Tx& tx, std::int64_t device_n, QuotaRule const& rule, SysTime now) {
  FLEET_TRY(auto const one, load(tx, device_n, {rule}, now));
  return one.front();
}

bool DeviceQuota::take() {
  changed_ = true;
  if (left_ < 1) {
    ++over_;
    return false;
  }
  left_ -= 1;
  return true;
}

std::int64_t DeviceQuota::tell() {
  if (over_ == 0 || now_ < told_ + kTellEvery) return 0;
  told_ = now_;
  changed_ = true;
  return std::exchange(over_, 0);
}

Millis DeviceQuota::wait() const { return Millis{static_cast<std::int64_t>(std::max(0.0, 1 - left_) * static_cast<double>(rule_.refill.count()))}; }

Result<void> DeviceQuota::save(store::Tx& tx) {
  if (!std::exchange(changed_, false)) return {};
  return tx.prepare(queries::kPutQuota).bind_all(device_n_, rule_.what, left_, to_unix_ms(now_), over_, to_unix_ms(told_)).run();
}

}  // namespace fleet::registry
