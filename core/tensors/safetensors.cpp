#include "core/tensors/formats.hpp"

#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace fleet::tensors {
namespace {

// The format's own limit is 100 MB; parsed, that would be a gigabyte.
constexpr std::uint64_t kHeaderBytesMax = 32U << 20;
constexpr std::array<std::pair<std::string_view, Type>, 15> kTypes{{{"F64", Type::f64},
                                                                    {"F32", Type::f32},
                                                                    {"F16", Type::f16},
                                                                    {"BF16", Type::bf16},
                                                                    {"F8_E4M3", Type::f8},
                                                                    {"F8_E5M2", Type::f8},
                                                                    {"I64", Type::i64},
                                                                    {"I32", Type::i32},
                                                                    {"I16", Type::i16},
                                                                    {"I8", Type::i8},
                                                                    {"U64", Type::i64},
                                                                    {"U32", Type::i32},
                                                                    {"U16", Type::i16},
                                                                    {"U8", Type::i8},
                                                                    {"BOOL", Type::i8}}};

Type type_of(std::string_view name) {
  for (auto const& [known, type] : kTypes)
    if (known == name) return type;
  return Type::bytes;
}

/// A list of whole numbers, none below 0.
Result<std::vector<std::uint64_t>> numbers(boost::json::value const* list) {
  std::vector<std::uint64_t> out;
  if (list == nullptr || !list->is_array() || list->as_array().size() > kDimensionsMax) return no_layout("safetensors", 8, "a list of numbers is none");
  for (auto const& item : list->as_array()) {
    auto const* const number = item.if_int64();
    if (number == nullptr || *number < 0) return no_layout("safetensors", 8, "a number is none, or below 0");
    out.push_back(static_cast<std::uint64_t>(*number));
  }
  return out;
}

}  // namespace

Result<std::vector<Tensor>> read_safetensors(Reading& in) {
  auto const size = in.size();
  FLEET_TRY(auto const length, in.u64(0));
  if (length < 2 || length > kHeaderBytesMax || length > size - 8)
    return no_layout("safetensors", 0, fmt::format("a header of {} bytes", length));
  FLEET_TRY(auto const text, in.text(8, length));
  FLEET_TRY(auto const header, wire::parse_json(text, kHeaderBytesMax));
  if (!header.is_object()) return no_layout("safetensors", 8, "the header is no object");
  auto const data = 8 + length;
  std::vector<Tensor> out;
  for (auto const& [name, value] : header.as_object()) {
    if (name == "__metadata__") continue;
    if (!value.is_object() || out.size() == kTensorsMax) return no_layout("safetensors", 8, "a tensor is no object, or there are too many");
    auto const* const type = value.as_object().if_contains("dtype");
    FLEET_TRY(auto const place, numbers(value.as_object().if_contains("data_offsets")));
    if (type == nullptr || !type->is_string() || place.size() != 2 || place[0] > place[1] || place[1] > size - data)
      return no_layout("safetensors", 8, fmt::format("tensor '{}' has no type or lies nowhere", std::string_view(name)));
    Tensor tensor{std::string(name), type_of(type->as_string()), {}, data + place[0], place[1] - place[0]};
    FLEET_TRY(tensor.shape, numbers(value.as_object().if_contains("shape")));
    out.push_back(std::move(tensor));
  }
  return out;
}

}  // namespace fleet::tensors
