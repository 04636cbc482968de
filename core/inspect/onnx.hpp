#pragma once

#include "core/base/fs.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fleet::inspect {

/// An input or output of a graph: `float32 [1, 64]`; a symbolic dimension is its name, an unknown one `?`.
struct OnnxValue {
  std::string name, type;
  std::vector<std::string> shape;
};
/// Weights that lie in another file (onnx/docs/ExternalData.md): at least so long it must be.
struct OnnxExternal {
  std::string tensor;  ///< the one that reaches furthest
  std::uint64_t end = 0;
};
/// Where a tensor's elements lie (onnx/onnx.proto, TensorProto).
struct OnnxTensor {
  std::string name;                  ///< its first 256 bytes
  std::string location;              ///< of external data; empty: in the model's own file
  std::uint64_t data_type = 0;       ///< TensorProto.DataType
  bool packed = false;               ///< elements are protobuf's numbers, not their own bytes
  std::vector<std::uint64_t> shape;  ///< the first 16 dimensions
  std::uint64_t offset = 0, length = 0;
};
/// What an ONNX file says of itself (onnx/onnx.proto, ModelProto).
struct OnnxModel {
  std::int64_t ir_version = 0;
  std::string producer_name, producer_version, graph_name;
  std::vector<std::pair<std::string, std::int64_t>> opsets;  ///< domain (empty: ai.onnx), version
  std::vector<OnnxValue> inputs, outputs;                    ///< inputs without those that initializers give; the first 256
  std::int64_t nodes = 0, initializers = 0;
  std::map<std::string, OnnxExternal> externals;  ///< by location as it is written: relative to the model's folder
};

/// Reads a model without loading its weights: walks the protobuf fields of `path`, jumps over the data of tensors, holds limits on depth,
/// counts and text lengths.
/// @param tensors  where all its tensors lie, for whom it is not null
/// @errors unprocessable (code `not_onnx`) with the byte where it stops making sense; io
[[nodiscard]] Result<OnnxModel> inspect_onnx(Fs& fs, std::string const& path, std::vector<OnnxTensor>* tensors = nullptr);
[[nodiscard]] std::string onnx_json(OnnxModel const& model);

}  // namespace fleet::inspect
