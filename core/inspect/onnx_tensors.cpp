#include "core/inspect/onnx_tensors.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace fleet::inspect {
namespace {

constexpr std::size_t kTextMax = 256;
constexpr std::size_t kLocationMax = 4096;
constexpr std::size_t kLocationsMax = 10'000;
constexpr int kDepthMax = 16;
constexpr std::size_t kDimensionsMax = 16;
constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 50;
/// Bits of an element by TensorProto.DataType; 0: of no fixed size, or of a newer kind.
constexpr std::array<std::uint64_t, 23> kBits{0, 32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 64, 128, 16, 8, 8, 8, 8, 4, 4};

}  // namespace

struct OnnxTensors::Tensor {
  std::string name, location;
  std::uint64_t elements = 1;
  std::uint64_t type = 0;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
  bool external = false;
  std::vector<std::uint64_t> shape;
  Field data;  ///< in the file itself; of field number 0: none

  /// What its data takes, by its shape and type.
  [[nodiscard]] std::uint64_t bytes() const {
    if (length) return *length;
    auto const bits = type < kBits.size() ? kBits[type] : 0;
    return bits == 0 ? 0 : (elements * bits + 7) / 8;
  }
};

namespace {

Result<std::uint64_t> read_count(std::string const& text, std::uint64_t at) {
  std::uint64_t count = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (fault != std::errc{} || end != text.data() + text.size() || count > kBytesMax) return not_onnx(at, "a place in a file of external data is no number");
  return count;
}

}  // namespace

/// TensorProto: dims = 1, data_type = 2, float_data = 4, int32_data = 5, int64_data = 7, name = 8, raw_data = 9, double_data = 10, uint64_data = 11,
/// external_data = 13 (StringStringEntryProto: key = 1, value = 2), data_location = 14.
Result<std::string> OnnxTensors::read_tensor(Field const& whole) {
  Tensor tensor;
  auto const read_entry = [&](Field const& entry) -> Result<void> {
    std::string key, value;
    auto const read_text = [&](Field const& field) -> Result<void> {
      if (field.kind != Field::Kind::bytes || field.end - field.begin > kLocationMax) return {};
      FLEET_TRY((field.number == 1 ? key : value), window_->bytes_at(field.begin, field.end - field.begin));
      return {};
    };
    FLEET_CHECK(walk(*window_, entry, read_text));
    if (key == "location") tensor.location = value;
    if (key != "offset" && key != "length") return {};
    FLEET_TRY(auto const count, read_count(value, entry.begin));
    if (key == "offset") tensor.offset = count;
    else tensor.length = count;
    return {};
  };
  FLEET_CHECK(walk(*window_, whole, [&](Field const& field) -> Result<void> {
    if (field.number == 1 && field.kind == Field::Kind::varint) {
      if (tensor.shape.size() < kDimensionsMax) tensor.shape.push_back(field.value);
      tensor.elements = field.value == 0 ? 0 : tensor.elements > kBytesMax / field.value ? kBytesMax : tensor.elements * field.value;
    }
    if (field.number == 2 && field.kind == Field::Kind::varint) tensor.type = field.value;
    if (field.number == 8 && field.kind == Field::Kind::bytes) {
      FLEET_TRY(tensor.name, window_->text_at(field.begin, std::min<std::uint64_t>(field.end - field.begin, kTextMax)));
    }
    bool const is_data = field.number == 4 || field.number == 5 || field.number == 7 || (field.number >= 9 && field.number <= 11);
    if (is_data && field.kind == Field::Kind::bytes) tensor.data = field;
    if (field.number == 13) return read_entry(field);
    if (field.number == 14 && field.kind == Field::Kind::varint) tensor.external = field.value == 1;
    return {};
  }));
  if (tensor.external) FLEET_CHECK(note(tensor, whole.begin));
  if (places_ != nullptr && tensor.external)
    places_->push_back({tensor.name, tensor.location, tensor.type, false, std::move(tensor.shape), tensor.offset, tensor.bytes()});
  else if (places_ != nullptr && tensor.data.number != 0)
    places_->push_back({tensor.name, {}, tensor.type, tensor.data.number == 5 || tensor.data.number == 7 || tensor.data.number == 11, std::move(tensor.shape), tensor.data.begin,
                        tensor.data.end - tensor.data.begin});
  return std::move(tensor.name);
}

Result<void> OnnxTensors::note(Tensor const& tensor, std::uint64_t offset) {
  if (tensor.location.empty()) return not_onnx(offset, "the data of tensor '" + tensor.name + "' is external, and nothing says where");
  auto const end = tensor.offset + tensor.bytes();
  if (out_->size() == kLocationsMax && !out_->contains(tensor.location)) return not_onnx(offset, "too many files of external data");
  auto& known = (*out_)[tensor.location];
  if (known.tensor.empty() || end > known.end) known = {tensor.name, end};
  return {};
}

/// SparseTensorProto: values = 1, indices = 2.
Result<void> OnnxTensors::read_sparse(Field const& whole) {
  return walk(*window_, whole, [&](Field const& field) -> Result<void> {
    if (field.number == 1 || field.number == 2) FLEET_CHECK(read_tensor(field));
    return {};
  });
}

/// AttributeProto: t = 5, g = 6, tensors = 10, graphs = 11, sparse_tensor = 22, sparse_tensors = 23.
Result<void> OnnxTensors::read_attribute(Field const& whole) {
  return walk(*window_, whole, [&](Field const& field) -> Result<void> {
    if (field.number == 5 || field.number == 10) FLEET_CHECK(read_tensor(field));
    if (field.number == 6 || field.number == 11) return read_graph(field);
    if (field.number == 22 || field.number == 23) return read_sparse(field);
    return {};
  });
}

/// NodeProto: attribute = 5.
Result<void> OnnxTensors::read_node(Field const& whole) {
  return walk(*window_, whole, [&](Field const& field) { return field.number == 5 ? read_attribute(field) : Result<void>{}; });
}

/// FunctionProto: node = 7.
Result<void> OnnxTensors::read_function(Field const& whole) {
  return walk(*window_, whole, [&](Field const& field) { return field.number == 7 ? read_node(field) : Result<void>{}; });
}

/// GraphProto within a node: node = 1, initializer = 5, sparse_initializer = 15.
Result<void> OnnxTensors::read_graph(Field const& whole) {
  if (depth_ == kDepthMax) return not_onnx(whole.begin, "graphs within graphs, too deep");
  ++depth_;
  auto const read = walk(*window_, whole, [&](Field const& field) -> Result<void> {
    if (field.number == 1) return read_node(field);
    if (field.number == 5) FLEET_CHECK(read_tensor(field));
    if (field.number == 15) return read_sparse(field);
    return {};
  });
  --depth_;
  return read;
}

}  // namespace fleet::inspect
