#include "server/rollout/shell/service_clock.hpp"

#include "core/base/log.hpp"

#include <algorithm>

namespace fleet::rollout {
namespace {

constexpr std::int64_t kBucketMs = 10'000;
constexpr int kMinute = 6;  ///< buckets
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
  if (gap.count() / kBucketMs + kMinute + 1 < static_cast<std::int64_t>(kBuckets))  // else it would be taken for one of now
    promised_[static_cast<std::size_t>((mono + gap.count()) / kBucketMs) % kBuckets].fetch_add(1, std::memory_order_relaxed);
}

void ServiceClock::heard(std::int64_t device_n, Habits const& habits) {
  if (device_n < 0 || device_n >= kDevicesMax) return;
  auto* found = slot(device_n);
  auto& mine = found == nullptr ? make_slot(device_n) : *found;
  auto const gap = longest_gap(habits);
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
  std::int64_t promised = 0, came = 0;
  for (std::int64_t one = bucket - kMinute; one < bucket; ++one) {
    if (one < began_mono_ms_ / kBucketMs) continue;
    auto const at = static_cast<std::size_t>(one) % kBuckets;
    promised += promised_[at].load(std::memory_order_relaxed);
    came += came_[at].load(std::memory_order_relaxed);
  }
  for (auto one = last_bucket_ - kMinute; one < bucket - kMinute; ++one)  // what nobody looks at any more is free for the next day
    if (one >= 0) promised_[static_cast<std::size_t>(one) % kBuckets] = came_[static_cast<std::size_t>(one) % kBuckets] = 0;
  last_bucket_ = bucket;
  auto const stopped = stopped_at_.load(std::memory_order_relaxed);
  if (stopped < 0 && promised >= kLeastPromised && came * kShare < promised) {
    promised_a_minute_ = promised;
    stopped_at_.store(now().count(), std::memory_order_relaxed);
    log::warn("service.stands_still", {{"promised", promised}, {"came", came}, {"hint", "the fleet is not heard: this server's network?"}});
  } else if (stopped >= 0 && came * kShare >= promised_a_minute_) {
    offset_ms_.store(stopped - mono_ms(), std::memory_order_relaxed);
    silence_from_ms_.store(stopped, std::memory_order_relaxed);
    stopped_at_.store(-1, std::memory_order_relaxed);
    log::info("service.goes_on", {{"came", came}});
  }
}

}  // namespace fleet::rollout
