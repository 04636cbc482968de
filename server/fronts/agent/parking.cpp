#include "server/fronts/agent/parking.hpp"

#include <algorithm>

namespace fleet::fronts {
namespace {

enum class Due { no, gone, waited, device, policy };

Due due(Poll const& poll, store::Epochs const& epochs, SysTime now, MonoTime mono) {
  auto const& memory = *poll.memory;
  if (!poll.answer.alive()) return Due::gone;
  if (mono >= poll.until) return Due::waited;
  if (memory.device_epoch != epochs.device(poll.device_n)) return Due::device;
  if (memory.valid_until != SysTime{} && now >= memory.valid_until) return Due::device;
  return memory.policy_epoch == epochs.policy() ? Due::no : Due::policy;
}

}  // namespace

Parking::Parking(std::size_t threads, std::size_t max_parked, Handler handler) : lanes_(threads), max_parked_(max_parked), handler_(std::move(handler)) {}

bool Parking::park(std::size_t thread, std::unique_ptr<Poll>& poll) {
  if (thread >= lanes_.size() || count() >= max_parked_) return false;
  lanes_[thread].polls.push_back(std::move(poll));
  count_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Parking::sweep(std::size_t thread, store::Epochs const& epochs, SysTime now, MonoTime mono) {
  auto& [polls, next] = lanes_[thread];
  std::vector<Woken> woken;
  std::size_t by_policy = 0;
  std::size_t const size = polls.size();
  std::size_t const start = size == 0 ? 0 : next % size;
  for (std::size_t i = 0; i < size; ++i) {
    auto& poll = polls[(start + i) % size];
    auto const why = due(*poll, epochs, now, mono);
    if (why == Due::no) continue;
    if (why == Due::policy && by_policy == kWokenEachSweep) continue;
    if (why == Due::policy && ++by_policy == kWokenEachSweep) next = start + i + 1;
    if (why == Due::gone) {
      poll.reset();
      count_.fetch_sub(1, std::memory_order_relaxed);
    } else {
      woken.push_back({std::move(poll), why == Due::waited ? Wake::waited : Wake::changed});
    }
  }
  std::erase(polls, nullptr);
  hand_back(woken);
}

void Parking::release_all(std::size_t thread) {
  std::vector<Woken> woken;
  for (auto& poll : lanes_[thread].polls) woken.push_back({std::move(poll), Wake::drained});
  lanes_[thread].polls.clear();
  hand_back(woken);
}

// Only when the lane is whole again: the handler may park.
void Parking::hand_back(std::vector<Woken>& woken) {
  count_.fetch_sub(woken.size(), std::memory_order_relaxed);
  for (auto& [poll, why] : woken) handler_(std::move(poll), why);
}

}  // namespace fleet::fronts
