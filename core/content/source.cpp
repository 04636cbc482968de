#include "core/content/source.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::content {
namespace {

Error short_read(std::string_view what, std::uint64_t offset, std::size_t wanted, std::uint64_t size) {
  return {Kind::corrupt, "short_read", fmt::format("{}: wanted {} bytes at {}, there are {} in all", what, wanted, offset, size)};
}

}  // namespace

Result<void> MemorySource::read(std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset > bytes_.size() || out.size() > bytes_.size() - offset) return short_read("memory", offset, out.size(), bytes_.size());
  std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  return {};
}

Result<std::unique_ptr<FileSource>> FileSource::open(Fs& fs, std::string const& path) {
  FLEET_TRY(auto file, fs.open(path, Fs::Mode::read));
  FLEET_TRY(auto const size, file->size());
  return std::unique_ptr<FileSource>(new FileSource(std::move(file), size, path));
}

Result<void> FileSource::read(std::uint64_t offset, std::span<std::uint8_t> out) {
  if (offset > size_ || out.size() > size_ - offset) return short_read(path_, offset, out.size(), size_);
  while (!out.empty()) {
    FLEET_TRY(auto const got, file_->read_at(offset, out));
    if (got == 0) return short_read(path_, offset, out.size(), size_);
    offset += got;
    out = out.subspan(got);
  }
  return {};
}

}  // namespace fleet::content
