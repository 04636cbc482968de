// A bundle as a stick brings it, and one header of it: whatever the bytes, what is found lies within the file.
#include "core/bundle/bundle.hpp"
#include "core/bundle/tar.hpp"

#include <algorithm>
#include <cstdlib>

using namespace fleet;

namespace {

class Held final : public File {
public:
  explicit Held(BytesView bytes) : bytes_(bytes) {}
  Result<void> write_at(std::uint64_t, BytesView) override { return Error{Kind::io, "read_only", "read only"}; }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    if (offset >= bytes_.size()) return std::size_t{0};
    auto const n = std::min<std::uint64_t>(out.size(), bytes_.size() - offset);
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), n, out.begin());
    return static_cast<std::size_t>(n);
  }
  Result<std::uint64_t> size() override { return bytes_.size(); }
  Result<void> truncate(std::uint64_t) override { return Error{Kind::io, "read_only", "read only"}; }
  Result<void> sync() override { return {}; }
  Result<void> sync_all() override { return {}; }
  Result<void> reserve(std::uint64_t) override { return {}; }

private:
  BytesView bytes_;
};

void header(BytesView bytes) {
  auto const entry = bundle::read_tar_header(bytes);
  if (!entry || !*entry) return;
  // What was read is written, and read again as the same.
  auto const written = bundle::tar_header((*entry)->name, (*entry)->size);
  if (!written) return;
  auto const again = bundle::read_tar_header(as_bytes(*written));
  if (!again || !*again || (*again)->name != (*entry)->name || (*again)->size != (*entry)->size) std::abort();
}

void whole(BytesView bytes) {
  auto const opened = bundle::Bundle::open(std::make_unique<Held>(bytes));
  if (!opened) return;
  auto const inside = [&](bundle::Place const& place) { return place.size <= bytes.size() && place.offset <= bytes.size() - place.size; };
  for (auto const& [name, place] : (*opened)->files())
    if (!inside(place) || !(*opened)->read(name, bytes.size())) std::abort();
  for (auto const& [digest, place] : (*opened)->blobs())
    if (!inside(place) || !(*opened)->find_blob(digest)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  BytesView const bytes(data + 1, size - 1);
  if (data[0] == 'h') header(bytes);
  else whole(bytes);
  return 0;
}
