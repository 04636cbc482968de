#pragma once

#include "core/content/encode/segments.hpp"
#include "core/tensors/tensors.hpp"

#include <map>
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

/// Where chunks of earlier recipes lie, by the digest of what they hold: a later version's recipe refers to them instead of storing them again.
class KnownChunks {
public:
  /// All blocks of a recipe that need no base. @errors as RecipeReader::next
  Result<void> add(RecipeReader& recipe);
  struct Place {
    Block block;  ///< `stored` but for its index
    Segment segment;
  };
  [[nodiscard]] Place const* find(Digest const& output) const;

private:
  std::map<Digest, Place> places_;
};

/// Encodes a file, block by block. Which blocks there are is settled at the start and depends on nothing but the inputs, so that a job may encode several at
/// once, stop anywhere and go on later from a checkpoint.
class Encoder {
public:
  /// From bases, or from none: the whole file, compressed. What is in a tensor of a base is made from it, whatever else from the stretch of a base that is most
  /// like it. Reads `target` and `bases` once. @errors io
  [[nodiscard]] static Result<Encoder> whole(Source& target, std::vector<tensors::Tensor> const& target_tensors, std::vector<Base> bases, EncodeOptions options = {});
  /// Chunks cut by content, 16 to 256 KiB, at the edges of tensors, too. Reads `target` once. @errors io
  [[nodiscard]] static Result<Encoder> chunks(Source& target, std::vector<tensors::Tensor> const& target_tensors, EncodeOptions options = {});
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  /// How many blocks.
  [[nodiscard]] std::size_t blocks() const;
  /// The files that blocks start from, for RecipeBuilder.
  [[nodiscard]] std::vector<BaseFile> bases() const;
  /// One block. May be called by several threads at once; each call takes at most 16 MiB.
  /// @param known  blocks that need not be stored again; null for none @errors io
  [[nodiscard]] Result<EncodedBlock> encode(std::size_t index, KnownChunks const* known = nullptr) const;

private:
  struct Plan;
  explicit Encoder(std::unique_ptr<Plan> plan);
  std::unique_ptr<Plan> plan_;
};

}  // namespace fleet::content
