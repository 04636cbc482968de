#include "agent/delivery/sources.hpp"

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr Millis kRestFirst{30'000};
constexpr Millis kRestMost = std::chrono::hours{1};

}  // namespace

void Sources::announce(std::vector<std::string> announced) {
  std::lock_guard const lock(mutex_);
  announced_ = std::move(announced);
  auto const is_known = [this](std::string const& source) {
    return std::find(of_owner_.begin(), of_owner_.end(), source) != of_owner_.end() ||
           std::find(announced_.begin(), announced_.end(), source) != announced_.end();
  };
  std::erase_if(resting_, [&](auto const& one) { return !is_known(one.first); });
}

std::vector<std::string> Sources::in_order(MonoTime now) const {
  std::vector<std::string> all, out;
  {
    std::lock_guard const lock(mutex_);
    all = of_owner_;
    all.insert(all.end(), announced_.begin(), announced_.end());
  }
  for (auto& source : all)
    if (!source.empty() && !is_resting(source, now) && std::find(out.begin(), out.end(), source) == out.end()) out.push_back(std::move(source));
  out.emplace_back();
  return out;
}

bool Sources::is_resting(std::string const& source, MonoTime now) const {
  std::lock_guard const lock(mutex_);
  auto const found = resting_.find(source);
  return found != resting_.end() && now < found->second.until;
}

void Sources::worked(std::string const& source) {
  std::lock_guard const lock(mutex_);
  resting_.erase(source);
}

void Sources::failed(std::string const& source, MonoTime now) {
  if (source.empty()) return;
  std::lock_guard const lock(mutex_);
  auto& rest = resting_[source];
  rest.length = rest.length == Millis{0} ? kRestFirst : std::min(2 * rest.length, kRestMost);
  rest.until = now + rest.length;
}

void Sources::lied(std::string const& source, MonoTime now) {
  if (source.empty()) return;
  std::lock_guard const lock(mutex_);
  resting_[source] = {now + kRestMost, kRestMost};
}

}  // namespace fleet::agent
