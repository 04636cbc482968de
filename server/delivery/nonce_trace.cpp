#include "server/delivery/nonce_trace.hpp"

#include <functional>

namespace fleet::delivery {
namespace {

constexpr std::chrono::hours kAccusedEvery{1};

std::uint64_t mark(std::string_view nonce) { return nonce.empty() ? 0 : std::hash<std::string_view>{}(nonce) | 1; }

}  // namespace

bool NonceTrace::check(std::int64_t device_n, std::string_view prior, MonoTime now) {
  auto& [mutex, traces] = shard(device_n);
  std::lock_guard const lock(mutex);
  auto const found = traces.find(device_n);
  auto const told = mark(prior);
  if (found == traces.end() || told == 0) return true;
  auto& trace = found->second;
  if (told == trace.last || trace.confirmed == 0) {
    trace.confirmed = told;
    return true;
  }
  if (told == trace.confirmed) return true;
  trace.confirmed = told;
  if (trace.accused != MonoTime{} && now < trace.accused + kAccusedEvery) return true;
  trace.accused = now;
  return false;
}

void NonceTrace::answered(std::int64_t device_n, std::string_view nonce) {
  auto& [mutex, traces] = shard(device_n);
  std::lock_guard const lock(mutex);
  traces[device_n].last = mark(nonce);
}

}  // namespace fleet::delivery
