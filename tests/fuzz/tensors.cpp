// Layouts of model files: safetensors, GGUF, NumPy, TFLite. What a reader gives lies within the file, or is dropped; here it must lie within.
#include "core/tensors/formats.hpp"

#include <algorithm>
#include <cstdlib>

using namespace fleet;
using namespace fleet::tensors;

namespace {

class MemoryFile final : public File {
public:
  explicit MemoryFile(BytesView bytes) : bytes_(bytes) {}
  Result<void> write_at(std::uint64_t, BytesView) override { return Error{}; }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    if (offset >= bytes_.size()) return std::size_t{0};
    auto const count = std::min(out.size(), bytes_.size() - static_cast<std::size_t>(offset));
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
    return count;
  }
  Result<std::uint64_t> size() override { return bytes_.size(); }
  Result<void> truncate(std::uint64_t) override { return Error{}; }
  Result<void> sync() override { return Error{}; }
  Result<void> sync_all() override { return Error{}; }
  Result<void> reserve(std::uint64_t) override { return {}; }

private:
  BytesView bytes_;
};

void check(Result<std::vector<Tensor>> const& found, std::uint64_t size) {
  if (!found) return;
  for (auto const& tensor : *found)
    if (tensor.offset > size || tensor.length > size - tensor.offset) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  MemoryFile file({data, size});
  auto const read = [&](auto reader) {
    Reading in(file, size, "fuzz");
    return reader(in);
  };
  check(read(read_safetensors), size);
  check(read(read_gguf), size);
  check(read(read_tflite), size);
  check(read(read_npz), size);
  Reading in(file, size, "fuzz");
  static_cast<void>(read_npy(in, 0, size));
  return 0;
}
