#include "core/net/egress.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace fleet::net {
namespace {

/// What is not asked for is kept so long: a tick that comes late must not lose bytes, an idle hour must not become a burst.
constexpr double kKeptSeconds = .25;

}  // namespace

Egress::Egress(std::uint64_t bytes_per_s) : rate_(bytes_per_s), quantum_(std::clamp<std::uint64_t>(bytes_per_s / 20, 4 * 1024, 256 * 1024)) {}

std::uint64_t Egress::ask(std::uint64_t wanted, Grant grant) {
  auto const bytes = std::min(wanted, quantum_);
  std::lock_guard const lock(mutex_);
  if (level_ > 0 && line_.empty()) {
    level_ -= static_cast<double>(bytes);
    return bytes;
  }
  line_.push_back({bytes, std::move(grant)});
  return 0;
}

void Egress::give_back(std::uint64_t bytes) {
  std::lock_guard const lock(mutex_);
  level_ += static_cast<double>(bytes);
}

void Egress::refill(MonoTime now) {
  std::vector<Waiting> given;
  {
    std::lock_guard const lock(mutex_);
    auto const rate = static_cast<double>(rate_);
    if (std::exchange(started_, true)) level_ = std::min(rate * kKeptSeconds, level_ + rate * static_cast<double>(std::max<std::int64_t>(0, (now - last_).count())) / 1000);
    last_ = std::max(last_, now);
    while (level_ > 0 && !line_.empty()) {
      level_ -= static_cast<double>(line_.front().wanted);
      given.push_back(std::move(line_.front()));
      line_.pop_front();
    }
  }
  for (auto const& one : given) one.grant(one.wanted);
}

std::size_t Egress::waiting() const {
  std::lock_guard const lock(mutex_);
  return line_.size();
}

}  // namespace fleet::net
