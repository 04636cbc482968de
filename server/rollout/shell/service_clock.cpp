#include "server/rollout/shell/service_clock.hpp"

#include "core/base/log.hpp"

#include <algorithm>

namespace fleet::rollout {
namespace {

constexpr std::int64_t kBucketMs = 10'000;
constexpr std::int64_t kMinute = 6, kLookBack = 360;  ///< buckets: an hour
/// Those still heard keep their promises for so many looks, three days: the others have gone, and it is not us.
constexpr std::int64_t kKept = 3 * 8'640;
/// So few promised contacts say nothing about us.
constexpr std::int64_t kLeastPromised = 5;
constexpr std::int64_t kShare = 10;
constexpr std::int64_t kDevicesMax = INT64_C(1) << 31;

}  // namespace

ServiceClock::ServiceClock(Clock& clock, Millis base) : clock_(clock), began_mono_ms_(mono_ms()), offset_ms_(base.count() - began_mono_ms_), silence_from_ms_(base.count()) {
  last_bucket_ = began_mono_ms_ / kBucketMs;
}

std::int64_t ServiceClock::mono_ms() const { return std::chrono::duration_cast<Millis>(clock_.mono().time_since_epoch()).count(); }

Millis ServiceClock::now() const {
  auto const stopped = stopped_at_.load(std::memory_order_relaxed);
  return Millis(stopped >= 0 ? stopped : mono_ms() + offset_ms_.load(std::memory_order_relaxed));
}

ServiceClock::Slot* ServiceClock::slot(std::int64_t device_n) const {
  if (device_n < 0 || device_n >= kDevicesMax) return nullptr;
  auto const index = static_cast<std::size_t>(device_n);
  std::shared_lock const lock(mutex_);
  if (index / kChunk >= chunks_.size() || chunks_[index / kChunk] == nullptr) return nullptr;
  return &(*chunks_[index / kChunk])[index % kChunk];
}

ServiceClock::Slot& ServiceClock::make_slot(std::int64_t device_n) {
  auto const index = static_cast<std::size_t>(device_n);
  std::unique_lock const lock(mutex_);
  if (index / kChunk >= chunks_.size()) chunks_.resize(index / kChunk + 1);
  if (chunks_[index / kChunk] == nullptr) chunks_[index / kChunk] = std::make_unique<Chunk>();
  return (*chunks_[index / kChunk])[index % kChunk];
}

void ServiceClock::note(Slot& slot, Millis gap) {
  auto const mono = mono_ms();
  slot.heard_ms.store(now().count(), std::memory_order_relaxed);
  came_[static_cast<std::size_t>(mono / kBucketMs) % kBuckets].fetch_add(1, std::memory_order_relaxed);
  std::int32_t bucket = -1;
  if (gap.count() / kBucketMs + kLookBack + 1 < static_cast<std::int64_t>(kBuckets)) bucket = static_cast<std::int32_t>((mono + gap.count()) / kBucketMs);  // else it would be taken for one of now
  auto const before = slot.promised.exchange(bucket, std::memory_order_relaxed);
  if (before >= mono / kBucketMs) promised_[static_cast<std::size_t>(before) % kBuckets].fetch_sub(1, std::memory_order_relaxed);  // it came sooner
  if (bucket >= 0) promised_[static_cast<std::size_t>(bucket) % kBuckets].fetch_add(1, std::memory_order_relaxed);
}

void ServiceClock::heard(std::int64_t device_n, Habits const& habits) {
  if (device_n < 0 || device_n >= kDevicesMax) return;
  auto* found = slot(device_n);
  auto& mine = found == nullptr ? make_slot(device_n) : *found;
  auto const gap = longest_gap(habits);
  auto const before = mine.heard_ms.load(std::memory_order_relaxed);
  auto const quiet_since = std::max(before, silence_from_ms_.load(std::memory_order_relaxed));  // an outage of ours is nobody's absence
  if (before > 0 && now() > Millis(quiet_since) + seconds(mine.gap_s.load(std::memory_order_relaxed))) returned_.fetch_add(1, std::memory_order_relaxed);
  mine.gap_s.store(static_cast<std::int32_t>(std::min<std::int64_t>(gap.count() / 1'000, INT32_MAX)), std::memory_order_relaxed);
  note(mine, gap);
}

void ServiceClock::heard(std::int64_t device_n) {
  auto* const found = slot(device_n);
  if (found != nullptr) found->heard_ms.store(now().count(), std::memory_order_relaxed);
}

ServiceClock::Voice ServiceClock::voice(std::int64_t device_n) const {
  auto const from = silence_from_ms_.load(std::memory_order_relaxed);
  auto const* const found = slot(device_n);
  if (found == nullptr) return {Millis(from), Millis(0)};
  return {Millis(std::max(from, found->heard_ms.load(std::memory_order_relaxed))), seconds(found->gap_s.load(std::memory_order_relaxed))};
}

bool ServiceClock::is_coming_back() const { return now() < Millis(silence_from_ms_.load(std::memory_order_relaxed)) + kComeBack; }

void ServiceClock::tick() {
  auto const bucket = mono_ms() / kBucketMs;
  if (bucket <= last_bucket_) return;
  std::int64_t promised = 0, came = 0, came_a_minute = 0, span = 0;
  // A minute, or as far back as it takes until some were promised: a small fleet that polls each quarter of an hour says little in a minute.
  for (std::int64_t one = bucket - 1; one >= std::max(began_mono_ms_ / kBucketMs, bucket - kLookBack); --one) {
    if (one < bucket - kMinute && promised >= kLeastPromised) break;
    auto const at = static_cast<std::size_t>(one) % kBuckets;
    promised += promised_[at].load(std::memory_order_relaxed);
    came += came_[at].load(std::memory_order_relaxed);
    if (++span <= kMinute) came_a_minute = came;
  }
  for (auto one = last_bucket_ - kLookBack; one < bucket - kLookBack; ++one)  // what nobody looks at any more is free for the next day
    if (one >= 0) promised_[static_cast<std::size_t>(one) % kBuckets] = came_[static_cast<std::size_t>(one) % kBuckets] = 0;
  last_bucket_ = bucket;
  kept_promised_.store(promised, std::memory_order_relaxed);
  kept_came_.store(came, std::memory_order_relaxed);
  if (follows()) return;
  auto const beside_came = beside_came_.load(std::memory_order_relaxed);
  promised += beside_promised_.load(std::memory_order_relaxed);
  came += beside_came;
  came_a_minute += beside_came;
  auto const stopped = stopped_at_.load(std::memory_order_relaxed);
  if (stopped < 0 && promised >= kLeastPromised && came * kShare < promised) {
    promised_then_ = std::max<std::int64_t>(1, promised * kMinute / span);
    kept_for_ = 0;
    stopped_at_.store(now().count(), std::memory_order_relaxed);
    log::warn("service.stands_still", {{"promised", promised}, {"came", came}, {"hint", "the fleet is not heard: this server's network?"}});
    return;
  }
  if (stopped < 0 || cannot_serve_) return;
  kept_for_ = came > 0 && came * 2 >= promised ? kept_for_ + 1 : 0;
  if (came_a_minute * kShare >= promised_then_ || kept_for_ >= kKept) {
    go_on();
    log::info("service.goes_on", {{"came", came}});
  }
}

void ServiceClock::go_on() {
  auto const stopped = stopped_at_.load(std::memory_order_relaxed);
  offset_ms_.store(stopped - mono_ms(), std::memory_order_relaxed);
  silence_from_ms_.store(stopped, std::memory_order_relaxed);
  stopped_at_.store(-1, std::memory_order_relaxed);
}

void ServiceClock::follow(Millis service) {
  shared_.store(true, std::memory_order_relaxed);
  follows_.store(true, std::memory_order_relaxed);
  offset_ms_.store(service.count() - mono_ms(), std::memory_order_relaxed);
  stopped_at_.store(-1, std::memory_order_relaxed);
}

void ServiceClock::take_over(Millis service) {
  shared_.store(true, std::memory_order_relaxed);
  follows_.store(false, std::memory_order_relaxed);
  cannot_serve_ = false;
  stopped_at_.store(std::max(service, now()).count(), std::memory_order_relaxed);
  go_on();
}

void ServiceClock::serves(bool can) {
  if (follows()) return;
  if (can == !cannot_serve_ || (!can && stands_still())) return;
  cannot_serve_ = !can;
  if (can) return go_on();
  stopped_at_.store(now().count(), std::memory_order_relaxed);
}

}  // namespace fleet::rollout
