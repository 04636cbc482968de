#include "core/tensors/tensors.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

using namespace fleet;

namespace {

/// A file of the test's own.
struct Written {
  std::string path = (std::filesystem::temp_directory_path() / ("fleet-tensors-" + std::to_string(::getpid()))).string();
  explicit Written(std::string_view content) { std::ofstream(path, std::ios::binary) << content; }
  ~Written() { std::filesystem::remove(path); }
  [[nodiscard]] std::map<std::string, std::vector<tensors::Tensor>> read() const { return tensors::tensors_of(system_fs(), {{"model", path, 0}}).value(); }
};

std::string safetensors(std::string_view header, std::size_t data_bytes) {
  std::string out(8, '\0');
  out[0] = static_cast<char>(header.size());
  return out + std::string(header) + std::string(data_bytes, '\0');
}

}  // namespace

TEST_CASE("the tensors of a safetensors file") {
  Written const file(safetensors(R"({"__metadata__":{"a":"b"},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 16));
  auto const found = file.read().at("model");
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "b");
  CHECK(found[0].type == tensors::Type::f32);
  CHECK(found[1].name == "w");
  CHECK(found[1].type == tensors::Type::bf16);
  CHECK(found[1].shape == std::vector<std::uint64_t>{2, 3});
  CHECK(found[1].offset == found[0].offset + 4);
  CHECK(found[1].length == 12);
}

TEST_CASE("what is broken has no tensors") {
  CHECK(Written("").read().empty());
  CHECK(Written("not a model").read().empty());
  CHECK(Written(safetensors(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,5]}})", 4)).read().empty());
  CHECK(Written(safetensors(R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4)).read().empty());
  CHECK(Written(safetensors(R"({"w":)", 4)).read().empty());
}
