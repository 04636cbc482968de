#include "server/store/epochs.hpp"

namespace fleet::store {

std::uint32_t Epochs::device(std::int64_t n) const {
  auto const index = static_cast<std::size_t>(n);
  auto const* const chunk = index / kChunk < kChunks ? chunks_[index / kChunk].load(std::memory_order_acquire) : nullptr;
  return chunk == nullptr ? 0 : (*chunk)[index % kChunk].load(std::memory_order_acquire);
}

void Epochs::raise_device(std::int64_t n) {
  auto const index = static_cast<std::size_t>(n);
  if (index / kChunk >= kChunks) {  // beyond the table every device shares the policy epoch: right, only coarser
    raise_policy();
    return;
  }
  auto& slot = chunks_[index / kChunk];
  if (slot.load(std::memory_order_acquire) == nullptr) {
    std::lock_guard const lock(growing_);
    if (slot.load(std::memory_order_acquire) == nullptr) {
      owned_[index / kChunk] = std::make_unique<Chunk>();
      slot.store(owned_[index / kChunk].get(), std::memory_order_release);
    }
  }
  (*slot.load(std::memory_order_acquire))[index % kChunk].fetch_add(1, std::memory_order_acq_rel);
}

}  // namespace fleet::store
