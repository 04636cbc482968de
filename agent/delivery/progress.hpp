#pragma once

#include "core/base/bytes.hpp"
#include "core/base/fs.hpp"

#include <cstdint>
#include <string>

namespace fleet::agent {

/// Which blocks of a file that a recipe makes lie on the disk for good: a bitmap in a small file of its own, so that a cut costs no more than what was
/// written since it was last kept.
class Progress {
public:
  /// What was kept for this recipe; all open where nothing was, or it is damaged or another's.
  static Progress load(Fs& fs, std::string path, Digest const& recipe, std::uint64_t blocks);
  /// Whether something was kept: else what lies in the file is to be looked at.
  [[nodiscard]] bool was_kept() const { return was_kept_; }
  [[nodiscard]] bool has(std::uint64_t block) const { return (bits_[static_cast<std::size_t>(block / 8)] & (1U << (block % 8))) != 0; }
  void set(std::uint64_t block, bool there);
  /// Durable. The file's own bytes must be so already.
  Result<void> keep(Fs& fs) const;

private:
  Progress(std::string path, Digest const& recipe, std::uint64_t blocks)
      : path_(std::move(path)), recipe_(recipe), blocks_(blocks), bits_(static_cast<std::size_t>((blocks + 7) / 8)) {}
  [[nodiscard]] std::string encode() const;
  std::string path_;
  Digest recipe_;
  std::uint64_t blocks_;
  Bytes bits_;
  bool was_kept_ = false;
};

}  // namespace fleet::agent
