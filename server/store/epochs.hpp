#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace fleet::store {

/// Counters that say when a remembered decision is stale (protocol.md, "Decisions, cached"), and that events are there to be read. Lock-free to read, any
/// thread.
class Epochs {
public:
  [[nodiscard]] std::uint64_t policy() const { return policy_.load(std::memory_order_acquire); }
  void raise_policy() { policy_.fetch_add(1, std::memory_order_acq_rel); }
  [[nodiscard]] std::uint64_t events() const { return events_.load(std::memory_order_acquire); }  ///< from 1
  void raise_events() { events_.fetch_add(1, std::memory_order_acq_rel); }
  [[nodiscard]] std::uint32_t device(std::int64_t n) const;
  void raise_device(std::int64_t n);

private:
  static constexpr std::size_t kChunk = 65'536;
  static constexpr std::size_t kChunks = 1'024;  // 67 million devices
  using Chunk = std::array<std::atomic<std::uint32_t>, kChunk>;
  std::atomic<std::uint64_t> policy_{1};
  std::atomic<std::uint64_t> events_{1};
  std::array<std::atomic<Chunk*>, kChunks> chunks_{};
  std::array<std::unique_ptr<Chunk>, kChunks> owned_{};
  std::mutex growing_;
};

}  // namespace fleet::store
