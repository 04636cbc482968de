#pragma once

#include "core/base/fs.hpp"

#include <string>

namespace fleet::agent {

/// Replaces a file also when the disk is full: a spare one of a fixed size lies ready beside it, and takes its name.
class SpareFile {
public:
  /// @param size_bytes  longer content is not replaced on a full disk
  SpareFile(Fs& fs, std::string path, std::uint64_t size_bytes) : fs_(fs), path_(std::move(path)), spare_(path_ + ".spare"), size_(size_bytes) {}
  /// Makes the spare one where it is not there. @errors unavailable (`disk_full`), io
  Result<void> make_ready();
  /// Durable before it returns, as Fs::replace.
  Result<void> replace(std::string_view content);

private:
  Fs& fs_;
  std::string path_, spare_;
  std::uint64_t size_;
};

}  // namespace fleet::agent
