#pragma once

#include "core/base/bytes.hpp"
#include "core/base/fs.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace fleet::content {

/// Bytes of a known length that can be read at any place: a file, a blob, a stretch of memory. May be read by several threads at once.
class Source {
public:
  virtual ~Source() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Fills all of `out`. @errors corrupt (code `short_read`) past the end; io
  virtual Result<void> read(std::uint64_t offset, std::span<std::uint8_t> out) = 0;
};

/// Bytes that somebody else owns and keeps for as long.
class MemorySource final : public Source {
public:
  explicit MemorySource(BytesView bytes) : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  Result<void> read(std::uint64_t offset, std::span<std::uint8_t> out) override;

private:
  BytesView bytes_;
};

/// A file, as long as it was when it was opened.
class FileSource final : public Source {
public:
  /// @errors not_found, io
  [[nodiscard]] static Result<std::unique_ptr<FileSource>> open(Fs& fs, std::string const& path);
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  Result<void> read(std::uint64_t offset, std::span<std::uint8_t> out) override;

private:
  FileSource(std::unique_ptr<File> file, std::uint64_t size, std::string path) : file_(std::move(file)), size_(size), path_(std::move(path)) {}
  std::unique_ptr<File> file_;
  std::uint64_t size_;
  std::string path_;
};

}  // namespace fleet::content
