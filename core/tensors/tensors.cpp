#include "core/tensors/tensors.hpp"

#include <array>

namespace fleet::tensors {
namespace {

struct TypeInfo {
  std::string_view name;
  std::vector<Field> record;
};

/// Blocks of quantised types as ggml-common.h has them: scales are float16, what is packed below a byte stays bytes.
std::array<TypeInfo, 24> const& types() {
  static std::array<TypeInfo, 24> const kTypes{{
      {"bytes", {{1, 1}}},
      {"int8", {{1, 1}}},
      {"int16", {{2, 1}}},
      {"int32", {{4, 1}}},
      {"int64", {{8, 1}}},
      {"float8", {{1, 1}}},
      {"float16", {{2, 1}}},
      {"bfloat16", {{2, 1}}},
      {"float32", {{4, 1}}},
      {"float64", {{8, 1}}},
      {"q4_0", {{2, 1}, {1, 16}}},
      {"q4_1", {{2, 2}, {1, 16}}},
      {"q5_0", {{2, 1}, {1, 4}, {1, 16}}},
      {"q5_1", {{2, 2}, {1, 4}, {1, 16}}},
      {"q8_0", {{2, 1}, {1, 32}}},
      {"q8_1", {{2, 2}, {1, 32}}},
      {"q2_k", {{1, 16}, {1, 64}, {2, 2}}},
      {"q3_k", {{1, 32}, {1, 64}, {1, 12}, {2, 1}}},
      {"q4_k", {{2, 2}, {1, 12}, {1, 128}}},
      {"q5_k", {{2, 2}, {1, 12}, {1, 32}, {1, 128}}},
      {"q6_k", {{1, 128}, {1, 64}, {1, 16}, {2, 1}}},
      {"q8_k", {{4, 1}, {1, 256}, {2, 16}}},
      {"iq4_nl", {{2, 1}, {1, 16}}},
      {"iq4_xs", {{2, 1}, {2, 1}, {1, 4}, {1, 128}}},
  }};
  return kTypes;
}

}  // namespace

std::string_view to_string(Type type) { return types().at(static_cast<std::size_t>(type)).name; }

std::vector<Field> const& record_of(Type type) { return types().at(static_cast<std::size_t>(type)).record; }

std::uint32_t record_bytes(Type type) {
  std::uint32_t bytes = 0;
  for (auto const& field : record_of(type)) bytes += std::uint32_t{field.width} * field.count;
  return bytes;
}

}  // namespace fleet::tensors
