#include "server/registry/device_quota.hpp"

#include "server/registry/queries.hpp"
#include "server/store/db/set.hpp"

#include <algorithm>
#include <utility>

namespace fleet::registry {
namespace {

constexpr std::chrono::hours kTellEvery{1};

}  // namespace

Result<std::map<std::int64_t, std::vector<QuotaRow>>> load_quotas(db::Connection& reader, std::span<std::int64_t const> devices) {
  std::map<std::int64_t, std::vector<QuotaRow>> out;
  auto row = reader.prepare(queries::kQuotas);
  db::bind_set(row, devices);
  while (true) {
    FLEET_TRY(bool const more, row.step());
    if (!more) return out;
    out[row.int64(0)].push_back({row.text(1), row.real(2), from_unix_ms(row.int64(3)), row.int64(4), from_unix_ms(row.int64(5))});
  }
}

DeviceQuota::DeviceQuota(std::int64_t device_n, QuotaRule const& rule, std::span<QuotaRow const> rows, SysTime now)
    : device_n_(device_n), rule_(rule), now_(now), left_(rule.most) {
  auto const row = std::find_if(rows.begin(), rows.end(), [&](QuotaRow const& one) { return one.what == rule.what; });
  if (row == rows.end()) return;
  auto const past = std::max(Millis{0}, now - row->as_of);
  left_ = std::min(rule.most, row->remaining + static_cast<double>(past.count()) / static_cast<double>(rule.refill.count()));
  over_ = row->exceeded;
  told_ = row->told_at;
}

Result<DeviceQuota> DeviceQuota::load(store::Tx& tx, std::int64_t device_n, QuotaRule const& rule, SysTime now) {
  FLEET_TRY(auto const rows, load_quotas(tx.connection(), {&device_n, 1}));
  auto const own = rows.find(device_n);
  return DeviceQuota(device_n, rule, own == rows.end() ? std::span<QuotaRow const>() : own->second, now);
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
