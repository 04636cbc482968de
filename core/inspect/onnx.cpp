#include "core/inspect/onnx.hpp"

#include "core/inspect/onnx_tensors.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <set>

namespace fleet::inspect {
namespace {

constexpr std::size_t kTextMax = 256;
constexpr std::size_t kValuesMax = 10'000;  // before ir_version 4 every initializer was an input, too
constexpr std::size_t kValuesKept = 256;
constexpr std::size_t kDimensionsMax = 16;
constexpr std::size_t kOpsetsMax = 64;
constexpr std::size_t kInitializersMax = 100'000;
constexpr std::uint64_t kProtobufBytesMax = (std::uint64_t{1} << 31) - 1;
// TensorProto.DataType of onnx/onnx.proto, by its number.
constexpr std::array<std::string_view, 17> kTypes{"undefined", "float32", "uint8",   "int8",   "uint16", "int16",     "int32",      "int64",   "string",
                                                  "bool",      "float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16"};

Result<std::string> read_text(FileWindow& window, Field const& field) {
  if (field.kind != Field::Kind::bytes) return not_onnx(field.begin, "expected a text");
  return window.text_at(field.begin, std::min<std::uint64_t>(field.end - field.begin, kTextMax));
}

/// TensorShapeProto.Dimension: dim_value = 1, dim_param = 2.
Result<std::string> read_dimension(FileWindow& window, Field const& whole) {
  std::string out = "?";
  FLEET_CHECK(walk(window, whole, [&](Field const& field) -> Result<void> {
    if (field.number == 1 && field.kind == Field::Kind::varint) out = std::to_string(static_cast<std::int64_t>(field.value));
    if (field.number != 2) return {};
    FLEET_TRY(out, read_text(window, field));
    return {};
  }));
  return out;
}

/// TypeProto.Tensor: elem_type = 1, shape = 2 (TensorShapeProto: dim = 1).
Result<void> read_tensor_type(FileWindow& window, Field const& whole, OnnxValue& value) {
  auto const dimension = [&](Field const& field) -> Result<void> {
    if (field.number != 1) return {};
    if (value.shape.size() >= kDimensionsMax) return not_onnx(field.begin, "too many dimensions");
    FLEET_TRY(auto text, read_dimension(window, field));
    value.shape.push_back(std::move(text));
    return {};
  };
  return walk(window, whole, [&](Field const& field) -> Result<void> {
    if (field.number == 1 && field.kind == Field::Kind::varint)
      value.type = field.value < kTypes.size() ? kTypes[field.value] : fmt::format("type {}", field.value);
    return field.number == 2 ? walk(window, field, dimension) : Result<void>{};
  });
}

/// ValueInfoProto: name = 1, type = 2 (TypeProto: tensor_type = 1).
Result<OnnxValue> read_value(FileWindow& window, Field const& whole) {
  OnnxValue value;
  auto const type = [&](Field const& field) -> Result<void> {
    if (field.number == 1) return read_tensor_type(window, field, value);
    value.type = "not a tensor";
    return {};
  };
  FLEET_CHECK(walk(window, whole, [&](Field const& field) -> Result<void> {
    if (field.number == 2) return walk(window, field, type);
    if (field.number != 1) return {};
    FLEET_TRY(value.name, read_text(window, field));
    return {};
  }));
  return value;
}

/// GraphProto: node = 1, name = 2, initializer = 5, input = 11, output = 12, sparse_initializer = 15.
Result<void> read_graph(FileWindow& window, Field const& whole, OnnxTensors& tensors, OnnxModel& model) {
  std::set<std::string> given;
  FLEET_CHECK(walk(window, whole, [&](Field const& field) -> Result<void> {
    if (field.number == 1) {
      ++model.nodes;
      return tensors.read_node(field);
    } else if (field.number == 2) {
      FLEET_TRY(model.graph_name, read_text(window, field));
    } else if (field.number == 5) {
      if (static_cast<std::size_t>(++model.initializers) > kInitializersMax) return not_onnx(field.begin, "too many initializers");
      FLEET_TRY(auto name, tensors.read_tensor(field));
      given.insert(std::move(name));
    } else if (field.number == 15) {
      return tensors.read_sparse(field);
    } else if (field.number == 11 || field.number == 12) {
      auto& list = field.number == 11 ? model.inputs : model.outputs;
      if (list.size() >= kValuesMax) return not_onnx(field.begin, "too many inputs or outputs");
      FLEET_TRY(auto value, read_value(window, field));
      list.push_back(std::move(value));
    }
    return {};
  }));
  std::erase_if(model.inputs, [&](OnnxValue const& value) { return given.contains(value.name); });
  for (auto* const list : {&model.inputs, &model.outputs})
    if (list->size() > kValuesKept) list->resize(kValuesKept);
  return {};
}

/// OperatorSetIdProto: domain = 1, version = 2.
Result<void> read_opset(FileWindow& window, Field const& whole, OnnxModel& model) {
  std::pair<std::string, std::int64_t> opset;
  FLEET_CHECK(walk(window, whole, [&](Field const& field) -> Result<void> {
    if (field.number == 2) opset.second = static_cast<std::int64_t>(field.value);
    if (field.number != 1) return {};
    FLEET_TRY(opset.first, read_text(window, field));
    return {};
  }));
  if (model.opsets.size() >= kOpsetsMax) return not_onnx(whole.begin, "too many opset imports");
  model.opsets.push_back(std::move(opset));
  return {};
}

boost::json::array values_json(std::vector<OnnxValue> const& values) {
  boost::json::array out;
  for (auto const& value : values)
    out.push_back(boost::json::object{{"name", value.name}, {"type", value.type}, {"shape", boost::json::array(value.shape.begin(), value.shape.end())}});
  return out;
}

}  // namespace

Result<OnnxModel> inspect_onnx(Fs& fs, std::string const& path, std::vector<OnnxTensor>* found) {
  FLEET_TRY(auto const file, fs.open(path, Fs::Mode::read));
  FLEET_TRY(auto const size, file->size());
  // A protobuf message holds 2^31 - 1 bytes at most, in every implementation that loads models.
  if (size > kProtobufBytesMax)
    return Error{Kind::unprocessable, "not_onnx", fmt::format("{} bytes; protobuf, the format of ONNX files, ends at 2 GiB ({} bytes): nothing can load it", size, kProtobufBytesMax),
                 "save the weights beside the model: onnx.save(model, path, save_as_external_data=True)"};
  FileWindow window(*file, size);
  OnnxModel model;
  OnnxTensors tensors(window, model.externals, found);
  bool graph = false;
  // ModelProto: ir_version = 1, producer_name = 2, producer_version = 3, graph = 7, opset_import = 8, functions = 25.
  FLEET_CHECK(walk(window, 0, size, [&](Field const& field) -> Result<void> {
    if (field.number == 1 && field.kind == Field::Kind::varint) model.ir_version = static_cast<std::int64_t>(field.value);
    if (field.number == 8) return read_opset(window, field, model);
    if (field.number == 25) return tensors.read_function(field);
    if (field.number == 2 || field.number == 3) {
      FLEET_TRY((field.number == 2 ? model.producer_name : model.producer_version), read_text(window, field));
    }
    if (field.number != 7) return {};
    graph = true;
    return read_graph(window, field, tensors, model);
  }));
  if (model.ir_version < 1 || model.ir_version > 1000) return not_onnx(0, "there is no ir_version");
  if (!graph || model.opsets.empty() || model.outputs.empty()) return not_onnx(size, "graph, opset_import or outputs are missing");
  return model;
}

std::string onnx_json(OnnxModel const& model) {
  boost::json::array opsets;
  for (auto const& [domain, version] : model.opsets)
    opsets.push_back(boost::json::object{{"domain", domain.empty() ? "ai.onnx" : domain}, {"version", version}});
  return boost::json::serialize(boost::json::object{{"format", "onnx"},
                                                    {"ir_version", model.ir_version},
                                                    {"opsets", std::move(opsets)},
                                                    {"producer", model.producer_name + (model.producer_version.empty() ? "" : " " + model.producer_version)},
                                                    {"graph", model.graph_name},
                                                    {"inputs", values_json(model.inputs)},
                                                    {"outputs", values_json(model.outputs)},
                                                    {"nodes", model.nodes},
                                                    {"initializers", model.initializers}});
}

}  // namespace fleet::inspect
