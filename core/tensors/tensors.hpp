#pragma once

#include "core/base/fs.hpp"
#include "core/inspect/variant.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::tensors {

/// What a tensor's elements are. `bytes` is whatever has no known structure.
enum class Type : std::uint8_t {
  bytes, i8, i16, i32, i64, f8, f16, bf16, f32, f64,
  q4_0, q4_1, q5_0, q5_1, q8_0, q8_1, q2_k, q3_k, q4_k, q5_k, q6_k, q8_k, iq4_nl, iq4_xs,
};
[[nodiscard]] std::string_view to_string(Type type);

/// One field of a record: `count` little-endian integers or floats of `width` bytes.
struct Field {
  std::uint8_t width = 1;
  std::uint16_t count = 1;
};
/// A tensor is records of these fields, one after another: a single field of one element for plain types, the fields of a block for quantised ones
/// (ggml-common.h).
[[nodiscard]] std::vector<Field> const& record_of(Type type);
[[nodiscard]] std::uint32_t record_bytes(Type type);

/// Where the elements of a tensor lie in a file.
struct Tensor {
  std::string name;  ///< may be empty, may repeat
  Type type = Type::bytes;
  std::vector<std::uint64_t> shape;
  std::uint64_t offset = 0, length = 0;  ///< bytes in the file
  bool operator==(Tensor const&) const = default;
};

/// The tensors of each file of a variant, by the file's name, in the order of their offsets, none over another. Formats are known by their bytes: ONNX (with
/// the files of its external data), safetensors, GGUF, NumPy's .npy and stored .npz, TFLite. What is of no known format, or broken, has none: it is for
/// whoever makes a delta, not for whoever publishes. Weights are not read. @errors io
[[nodiscard]] Result<std::map<std::string, std::vector<Tensor>>> tensors_of(Fs& fs, std::vector<inspect::VariantFile> const& files);

}  // namespace fleet::tensors
