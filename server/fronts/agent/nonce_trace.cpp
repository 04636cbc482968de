#include "server/fronts/agent/nonce_trace.hpp"

#include <algorithm>
#include <functional>

namespace fleet::fronts {
namespace {

constexpr std::chrono::hours kAccusedEvery{1};

std::uint64_t mark(std::string_view text) { return text.empty() ? 0 : std::hash<std::string_view>{}(text) | 1; }

}  // namespace

bool NonceTrace::is_one_machine(Trace& trace, PollMarks const& poll) {
  trace.asked = mark(poll.nonce);
  auto const told = mark(poll.prior);
  auto const boot = static_cast<std::uint32_t>(mark(poll.boot_id));
  bool const is_new_boot = boot != 0 && boot != trace.boot;
  bool known = told == 0 || told == trace.confirmed || told == trace.last || trace.confirmed == 0;
  if (is_new_boot) {
    known = std::find(trace.boots_before.begin(), trace.boots_before.end(), boot) == trace.boots_before.end();
    std::rotate(trace.boots_before.begin(), trace.boots_before.end() - 1, trace.boots_before.end());
    trace.boots_before[0] = trace.boot;
    trace.boot = boot;
  }
  if (told != 0) trace.confirmed = told;
  return known;
}

bool NonceTrace::check(std::int64_t device_n, PollMarks const& poll, MonoTime now) {
  auto& [mutex, traces] = shard(device_n);
  std::lock_guard const lock(mutex);
  auto& trace = traces[device_n];
  if (is_one_machine(trace, poll) || (trace.accused != MonoTime{} && now < trace.accused + kAccusedEvery)) return true;
  trace.accused = now;
  return false;
}

void NonceTrace::answered(std::int64_t device_n, std::string_view nonce) {
  auto& [mutex, traces] = shard(device_n);
  std::lock_guard const lock(mutex);
  auto& trace = traces[device_n];
  if (trace.asked == mark(nonce)) trace.last = trace.asked;
}

}  // namespace fleet::fronts
