#include "core/inspect/onnx.hpp"
#include "core/tensors/formats.hpp"

#include <algorithm>
#include <array>

namespace fleet::tensors {
namespace {

using Lists = std::map<std::string, std::vector<Tensor>>;

/// In the order of their offsets, none over another, none without bytes.
std::vector<Tensor> in_order(std::vector<Tensor> found) {
  std::erase_if(found, [](Tensor const& tensor) { return tensor.length == 0; });
  std::stable_sort(found.begin(), found.end(), [](Tensor const& a, Tensor const& b) { return a.offset < b.offset; });
  std::vector<Tensor> out;
  for (auto& tensor : found)
    if (out.empty() || tensor.offset >= out.back().offset + out.back().length) out.push_back(std::move(tensor));
  return out;
}

Result<std::vector<Tensor>> read_one_npy(Reading& in) {
  FLEET_TRY(auto tensor, read_npy(in, 0, in.size()));
  return std::vector{std::move(tensor)};
}

/// Formats that are known by their first bytes.
struct Format {
  std::string_view name;
  Result<std::vector<Tensor>> (*read)(Reading&);
};
constexpr auto kFormats = std::to_array<Format>({{"safetensors", read_safetensors}, {"GGUF", read_gguf}, {"TFLite", read_tflite}, {"npy", read_one_npy}, {"npz", read_npz}});

/// TensorProto.DataType of onnx/onnx.proto by its number.
constexpr auto kOnnxTypes = std::to_array<Type>({Type::bytes, Type::f32, Type::i8,  Type::i8,  Type::i16, Type::i16, Type::i32, Type::i64, Type::bytes, Type::i8, Type::f16, Type::f64,
                                                 Type::i32,   Type::i64, Type::f32, Type::f64, Type::bf16, Type::f8, Type::f8,  Type::f8,  Type::f8,    Type::i8, Type::i8});

/// The model's own tensors, and those of its external data by the names of their files.
Result<void> read_onnx(Fs& fs, inspect::VariantFile const& file, Lists& out) {
  std::vector<inspect::OnnxTensor> places;
  auto const model = inspect::inspect_onnx(fs, file.path, &places);
  if (!model) return model.error();
  for (auto& place : places) {
    auto const type = place.packed || place.data_type >= kOnnxTypes.size() ? Type::bytes : kOnnxTypes[static_cast<std::size_t>(place.data_type)];
    out[place.location.empty() ? file.name : inspect::name_beside(file.name, place.location)].push_back({std::move(place.name), type, std::move(place.shape), place.offset, place.length});
  }
  return {};
}

Result<void> read(Fs& fs, inspect::VariantFile const& file, Lists& out) {
  if (file.name.ends_with(".onnx")) return read_onnx(fs, file, out);
  FLEET_TRY(auto const opened, fs.open(file.path, Fs::Mode::read));
  FLEET_TRY(auto const size, opened->size());
  for (auto const& format : kFormats) {
    Reading in(*opened, size, format.name);
    auto found = format.read(in);
    if (!found && found.error().kind == Kind::io) return found.error();
    if (!found) continue;
    auto& list = out[file.name];
    list.insert(list.end(), std::make_move_iterator(found->begin()), std::make_move_iterator(found->end()));
    break;
  }
  return {};
}

}  // namespace

Result<Lists> tensors_of(Fs& fs, std::vector<inspect::VariantFile> const& files) {
  Lists found, out;
  for (auto const& file : files)
    if (auto const done = read(fs, file, found); !done && done.error().kind == Kind::io) return done.error();
  // A list of a file that is not there, or that ends earlier, is none of ours.
  for (auto const& file : files) {
    auto const list = found.find(file.name);
    if (list == found.end()) continue;
    FLEET_TRY(auto const opened, fs.open(file.path, Fs::Mode::read));
    FLEET_TRY(auto const size, opened->size());
    std::erase_if(list->second, [&](Tensor const& tensor) { return tensor.offset > size || tensor.length > size - tensor.offset; });
    out[file.name] = in_order(std::move(list->second));
  }
  return out;
}

}  // namespace fleet::tensors
