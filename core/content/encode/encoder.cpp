#include "core/content/encode/encoder.hpp"

#include "core/content/encode/chunker.hpp"
#include "core/content/zstd.hpp"
#include "core/crypto/hash.hpp"

#include <algorithm>

namespace fleet::content {

/// What each block is made from.
struct Encoder::Plan {
  struct Step {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
  };
  Source* target = nullptr;
  std::vector<Base> bases;
  std::vector<Step> steps;
  EncodeOptions options;
};

Encoder::Encoder(std::unique_ptr<Plan> plan) : plan_(std::move(plan)) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

Result<Encoder> Encoder::whole(Source& target, std::vector<tensors::Tensor> const& target_tensors, std::vector<Base> bases, EncodeOptions options) {
  static_cast<void>(target_tensors);
  auto plan = std::make_unique<Plan>();
  plan->target = &target;
  plan->bases = std::move(bases);
  plan->options = options;
  for (std::uint64_t at = 0; at < target.size(); at += kBlockBytesMax)
    plan->steps.push_back({at, static_cast<std::uint32_t>(std::min(kBlockBytesMax, target.size() - at))});
  return Encoder(std::move(plan));
}

Result<Encoder> Encoder::chunks(Source& target, std::vector<tensors::Tensor> const& target_tensors, EncodeOptions options) {
  auto plan = std::make_unique<Plan>();
  plan->target = &target;
  plan->options = options;
  std::vector<std::uint64_t> edges;
  for (auto const& tensor : target_tensors) {
    // A chunk for each small tensor would cost more than it shares.
    if (tensor.length < kChunkBytesMin) continue;
    edges.push_back(tensor.offset);
    edges.push_back(tensor.offset + tensor.length);
  }
  std::sort(edges.begin(), edges.end());
  FLEET_TRY(auto const ends, cut_chunks(target, edges));
  std::uint64_t at = 0;
  for (auto const end : ends) {
    plan->steps.push_back({at, static_cast<std::uint32_t>(end - at)});
    at = end;
  }
  return Encoder(std::move(plan));
}

std::size_t Encoder::blocks() const { return plan_->steps.size(); }

std::vector<BaseFile> Encoder::bases() const {
  std::vector<BaseFile> out;
  for (auto const& base : plan_->bases) out.push_back(base.file);
  return out;
}

Result<EncodedBlock> Encoder::encode(std::size_t index, KnownChunks const* known) const {
  auto const& step = plan_->steps.at(index);
  Bytes input(step.length);
  FLEET_CHECK(plan_->target->read(step.offset, input));
  EncodedBlock out;
  out.block.length = step.length;
  out.block.sha256 = crypto::sha256(input);
  if (auto const* const place = known == nullptr ? nullptr : known->find(out.block.sha256); place != nullptr && place->block.length == step.length) {
    out.block = place->block;
    out.known = place->segment;
    return out;
  }
  if (std::all_of(input.begin(), input.end(), [&](std::uint8_t b) { return b == input.front(); })) {
    out.block.method = Method::constant;
    out.block.value = input.front();
    return out;
  }
  out.stored = zstd_compress(input, {}, plan_->options.zstd_level);
  out.block.method = Method::zstd;
  if (out.stored.size() >= input.size()) {
    out.stored = std::move(input);
    out.block.method = Method::raw;
  }
  return out;
}

}  // namespace fleet::content
