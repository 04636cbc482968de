#include "core/content/encode/encoder.hpp"

#include "core/content/encode/block_encode.hpp"
#include "core/content/encode/window.hpp"

#include <algorithm>

namespace fleet::content {

struct Encoder::Plan {
  Source* target = nullptr;
  std::vector<Base> bases;
  std::vector<Step> steps;
  std::optional<WindowIndex> windows;
  EncodeOptions options;
};

Encoder::Encoder(std::unique_ptr<Plan> plan) : plan_(std::move(plan)) {}
Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

Result<Encoder> Encoder::whole(Source& target, std::vector<tensors::Tensor> const& target_tensors, std::vector<Base> bases, EncodeOptions options) {
  auto plan = std::make_unique<Plan>();
  plan->target = &target;
  plan->bases = std::move(bases);
  plan->options = options;
  FLEET_TRY(auto const regions, match_regions(target, target_tensors, plan->bases));
  plan->steps = plan_blocks(regions);
  if (!plan->bases.empty() && std::any_of(plan->steps.begin(), plan->steps.end(), [](Step const& step) { return step.search; })) {
    FLEET_TRY(plan->windows, WindowIndex::build(plan->bases));
  }
  return Encoder(std::move(plan));
}

std::size_t Encoder::blocks() const { return plan_->steps.size(); }

std::vector<BaseFile> Encoder::bases() const {
  std::vector<BaseFile> out;
  for (auto const& base : plan_->bases) out.push_back(base.file);
  return out;
}

Result<EncodedBlock> Encoder::encode(std::size_t index) const {
  auto const& step = plan_->steps.at(index);
  Bytes block(step.length);
  FLEET_CHECK(plan_->target->read(step.offset, block));
  std::optional<BaseWindow> window;
  if (step.search && plan_->windows) {
    if (auto const found = plan_->windows->find(block, step.offset)) window = BaseWindow{found->file, found->offset, {}};
    if (window) {
      Bytes base(std::min(kBaseRangeBytesMax, plan_->bases[window->file].source->size() - window->offset));
      FLEET_CHECK(plan_->bases[window->file].source->read(window->offset, base));
      window->bytes = base;
      return encode_block(block, step.pieces, window, plan_->options.zstd_level);
    }
  }
  std::uint64_t begin = ~std::uint64_t{0}, end = 0;
  for (auto const& piece : step.pieces)
    if (piece.base) {
      begin = std::min(begin, *piece.base);
      end = std::max(end, *piece.base + piece.length);
    }
  Bytes base;
  if (end > begin) {
    base.resize(static_cast<std::size_t>(end - begin));
    FLEET_CHECK(plan_->bases[step.file].source->read(begin, base));
    window = BaseWindow{step.file, begin, base};
  }
  return encode_block(block, step.pieces, window, plan_->options.zstd_level);
}

}  // namespace fleet::content
