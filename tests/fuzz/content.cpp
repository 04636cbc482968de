// What a device decodes of wire objects: recipes, parts, rANS, zstd. The first byte chooses. What the assembler's digests would refuse is decoded here all the same.
#include "core/content/assembler.hpp"
#include "core/content/zstd.hpp"

#include <cstdlib>

using namespace fleet;
using namespace fleet::content;

namespace {

void recipe(BytesView bytes) {
  MemorySource source(bytes);
  auto reader = RecipeReader::open(source);
  if (!reader) return;
  auto const blocks = reader->all();
  if (!blocks) return;
  // What was read whole is written as it was, but for numbers that were longer than they need be.
  if (encode_recipe(reader->head(), *blocks).size() > bytes.size()) std::abort();
  if (!reader->check()) std::abort();
}

/// A base of 4 KiB that holds no secrets, a block of 1 to 65,536 bytes.
void parts(BytesView bytes) {
  if (bytes.size() < 2) return;
  static Bytes const kBase = [] {
    Bytes out(4096);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(i * 7 + i / 100);
    return out;
  }();
  static PartsScratch scratch;
  Bytes out(std::size_t{1} + bytes[0] + std::size_t{bytes[1]} * 256);
  static_cast<void>(decode_parts(bytes.subspan(2), kBase, out, scratch));
}

void rans(BytesView bytes, bool with_contexts) {
  if (bytes.size() < 2) return;
  static RansScratch scratch;
  Bytes out(std::size_t{1} + bytes[0] + std::size_t{bytes[1]} * 256), contexts;
  if (with_contexts)
    for (std::size_t i = 0; i < out.size(); ++i) contexts.push_back(static_cast<std::uint8_t>(i * i >> 3));
  static_cast<void>(rans_decode(bytes.subspan(2), contexts, out, scratch));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  BytesView const bytes{data + 1, size - 1};
  if (data[0] == 'r') recipe(bytes);
  else if (data[0] == 'p') parts(bytes);
  else if (data[0] == 'n' || data[0] == 'c') rans(bytes, data[0] == 'c');
  else {
    Bytes out(1000);
    static_cast<void>(zstd_decompress(bytes, {}, out));
  }
  return 0;
}
