#include "server/blobs/turns.hpp"

#include <algorithm>

namespace fleet::blobs {
namespace {

constexpr Millis kSweepEvery{1'000};

}  // namespace

/// One object on its way. When it ended is known to the next who asks: by then time has been given anew.
struct Turns::Let {
  Let(Turns& turns, std::int64_t device) : of(turns), device_n(device) {}
  ~Let() {
    std::lock_guard const lock(of.mutex_);
    auto const found = of.turns_.find(device_n);
    if (found == of.turns_.end()) return;
    found->second.objects -= 1;
    found->second.kept_until = of.now_ + kKept;
  }
  Let(Let const&) = delete;
  Let& operator=(Let const&) = delete;
  Turns& of;
  std::int64_t device_n;
};

std::variant<Turns::Held, Millis> Turns::take(std::int64_t device_n, std::uint64_t bytes, bool spare, MonoTime now) {
  if (egress_ == 0) return Held();
  std::lock_guard const lock(mutex_);
  now_ = std::max(now_, now);
  auto const its = turns_.find(device_n);
  if (its != turns_.end() && its->second.objects >= kObjects) {
    ++told_later_;
    return kFull;
  }
  if (its == turns_.end() && !has_room(spare ? most_ : usual_, now_)) {
    ++told_later_;
    return later(device_n, bytes, now_);
  }
  turns_[device_n].objects += 1;
  return std::make_shared<Let const>(*this, device_n);
}

bool Turns::has_room(std::size_t places, MonoTime now) {
  if (turns_.size() < places) return true;
  if (now - swept_ < kSweepEvery) return false;
  swept_ = now;
  std::erase_if(turns_, [now](auto const& one) { return one.second.objects == 0 && one.second.kept_until <= now; });
  return turns_.size() < places;
}

Millis Turns::later(std::int64_t device_n, std::uint64_t bytes, MonoTime now) {
  auto const took = Millis{static_cast<std::int64_t>(std::min<std::uint64_t>(bytes, 1ULL << 50) * 1000 / egress_)};
  line_ends_ = std::max(line_ends_, now) + took;
  auto const wait = line_ends_ - now;
  if (wait <= kLongest) return wait;
  // So long a line is not kept in its order: from the second half of an hour, each at a moment of its own.
  line_ends_ = now + kLongest;
  return kLongest / 2 + kLongest / 2 * (static_cast<std::uint64_t>(device_n) * 0x9E3779B97F4A7C15ULL >> 54U) / 1024;
}

Turns::Figures Turns::figures() const {
  std::lock_guard const lock(mutex_);
  return {turns_.size(), told_later_};
}

}  // namespace fleet::blobs
