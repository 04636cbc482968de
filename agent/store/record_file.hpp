#pragma once

#include "core/base/fs.hpp"

#include <functional>
#include <memory>
#include <optional>
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
  /// Calls `each` for every whole line, in order. On a disk that is read-only the file is read, too; then every `append` says why it cannot.
  /// @param limit_bytes  a longer file is refused
  static Result<Opened> open(Fs& fs, std::string const& path, std::uint64_t limit_bytes, std::function<void(std::string_view)> const& each);
  /// Durable before it returns when `sync`. @errors as File; after an error of `sync`, io (code `must_be_rewritten`) for ever: see `is_spoilt`
  Result<void> append(std::string_view text, bool sync);
  Result<void> sync();
  /// A sync failed, so what the file seems to hold may not be on the disk: only a new file, written from memory, is to be believed.
  [[nodiscard]] bool is_spoilt() const { return spoilt_; }
  /// It could only be read when it was opened.
  [[nodiscard]] bool is_read_only() const { return file_ == nullptr; }
  /// So many bytes can be appended on a full disk.
  Result<void> reserve(std::uint64_t bytes) { return file_ ? file_->reserve(bytes) : *read_only_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] static std::string line_of(std::string_view text);
  /// The text of a line (without its newline) whose checksum fits.
  [[nodiscard]] static std::optional<std::string_view> text_of(std::string_view line);

private:
  RecordFile(std::unique_ptr<File> file, std::optional<Error> read_only, std::uint64_t size)
      : file_(std::move(file)), read_only_(std::move(read_only)), size_(size) {}
  std::unique_ptr<File> file_;  ///< none: read_only_
  std::optional<Error> read_only_;
  std::uint64_t size_;
  bool spoilt_ = false;
};

}  // namespace fleet::agent
