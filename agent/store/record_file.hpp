#pragma once

#include "core/base/fs.hpp"

#include <functional>
#include <memory>
#include <string>

namespace fleet::agent {

/// An append-only file of checksummed lines: `<16 hex of SHA-256> <text>\n`. What a power cut leaves at its end is cut off when it is
/// opened; a damaged line before that is told, never passed over.
class RecordFile {
public:
  struct Opened {
    std::unique_ptr<RecordFile> file;
    bool damaged = false;  ///< a line before the torn end did not fit its checksum: everything from it on was dropped
  };
  /// Calls `each` for every whole line, in order. @param limit_bytes  a longer file is refused
  static Result<Opened> open(Fs& fs, std::string const& path, std::uint64_t limit_bytes, std::function<void(std::string_view)> const& each);
  /// Durable before it returns when `sync`.
  Result<void> append(std::string_view text, bool sync);
  Result<void> sync() { return file_->sync(); }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] static std::string line_of(std::string_view text);

private:
  RecordFile(std::unique_ptr<File> file, std::uint64_t size) : file_(std::move(file)), size_(size) {}
  std::unique_ptr<File> file_;
  std::uint64_t size_;
};

}  // namespace fleet::agent
