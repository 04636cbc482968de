#pragma once

#include "core/inspect/onnx.hpp"
#include "core/inspect/protobuf_reader.hpp"

#include <map>
#include <string>
#include <vector>

namespace fleet::inspect {

/// Finds the tensors of a model wherever they stand (initializers, attributes of nodes, graphs within nodes, functions), and notes of those whose data
/// is in another file where that is (onnx/onnx.proto, TensorProto.external_data). Data in the file itself is jumped over.
class OnnxTensors {
public:
  /// @param places  takes where each tensor's data lies; may be null
  OnnxTensors(FileWindow& window, std::map<std::string, OnnxExternal>& out, std::vector<OnnxTensor>* places) : window_(&window), out_(&out), places_(places) {}
  /// TensorProto. @returns its name
  Result<std::string> read_tensor(Field const& whole);
  /// SparseTensorProto
  Result<void> read_sparse(Field const& whole);
  /// NodeProto
  Result<void> read_node(Field const& whole);
  /// FunctionProto
  Result<void> read_function(Field const& whole);

private:
  struct Tensor;
  Result<void> read_attribute(Field const& whole);
  Result<void> read_graph(Field const& whole);
  Result<void> note(Tensor const& tensor, std::uint64_t offset);

  FileWindow* window_;
  std::map<std::string, OnnxExternal>* out_;
  std::vector<OnnxTensor>* places_;
  int depth_ = 0;  ///< of graphs within nodes
};

}  // namespace fleet::inspect
