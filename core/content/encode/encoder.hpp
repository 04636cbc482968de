#pragma once

#include "core/content/encode/segments.hpp"
#include "core/tensors/tensors.hpp"

#include <memory>
#include <vector>

namespace fleet::content {

/// A file that a delta may start from. `source` and `tensors` are kept by the caller for as long as the encoder lives.
struct Base {
  BaseFile file;
  Source* source = nullptr;
  std::vector<tensors::Tensor> const* tensors = nullptr;  ///< null: none are known
};

/// How hard to try. The defaults are what the server uses.
struct EncodeOptions {
  int zstd_level = 9;
};

/// Encodes a file, block by block. Which blocks there are is settled at the start and depends on nothing but the inputs, so that a job may encode several at
/// once, stop anywhere and go on later from a checkpoint.
class Encoder {
public:
  /// From bases, or from none: the whole file, compressed. What is in a tensor of a base is made from it, whatever else from the stretch of a base that is most
  /// like it. Reads `target` and `bases` once. @errors io
  [[nodiscard]] static Result<Encoder> whole(Source& target, std::vector<tensors::Tensor> const& target_tensors, std::vector<Base> bases, EncodeOptions options = {});
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  /// How many blocks.
  [[nodiscard]] std::size_t blocks() const;
  /// The files that blocks start from, for RecipeBuilder.
  [[nodiscard]] std::vector<BaseFile> bases() const;
  /// One block. May be called by several threads at once; each call takes at most 16 MiB. @errors io
  [[nodiscard]] Result<EncodedBlock> encode(std::size_t index) const;

private:
  struct Plan;
  explicit Encoder(std::unique_ptr<Plan> plan);
  std::unique_ptr<Plan> plan_;
};

}  // namespace fleet::content
