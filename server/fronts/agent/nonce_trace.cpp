#include "server/fronts/agent/nonce_trace.hpp"

#include <functional>

namespace fleet::fronts {
namespace {

constexpr std::chrono::hours kAccusedEvery{1};

std::uint64_t mark(std::string_view nonce) { return nonce.empty() ? 0 : std::hash<std::string_view>{}(nonce) | 1; }

}  // namespace

bool NonceTrace::check(std::int64_t device_n, std::string_view prior, std::string_view nonce, MonoTime now) {
  auto& [mutex, traces] = shard(device_n);
  std::lock_guard const lock(mutex);
  auto& trace = traces[device_n];
  trace.asked = mark(nonce);
  auto const told = mark(prior);
  if (told == 0 || told == trace.confirmed) return true;
  bool const known = told == trace.last || trace.confirmed == 0;
  trace.confirmed = told;
  if (known) return true;
  if (trace.accused != MonoTime{} && now < trace.accused + kAccusedEvery) return true;
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
