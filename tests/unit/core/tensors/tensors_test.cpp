#include "core/tensors/tensors.hpp"
#include "tests/unit/core/inspect/protobuf_writer.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

using namespace fleet;
using namespace fleet::tensors;

namespace {

/// Files of the test's own, by name.
using Contents = std::map<std::string, std::string>;

class Folder {
public:
  explicit Folder(Contents const& files) {
    for (auto const& [name, content] : files) {
      std::filesystem::create_directories((path_ / name).parent_path());
      std::ofstream(path_ / name, std::ios::binary) << content;
      files_.push_back({name, (path_ / name).string(), content.size()});
    }
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::map<std::string, std::vector<Tensor>> read() const { return tensors_of(system_fs(), files_).value(); }

private:
  std::filesystem::path path_ = std::filesystem::temp_directory_path() / ("fleet-tensors-" + std::to_string(::getpid()));
  std::vector<inspect::VariantFile> files_;
};

std::vector<Tensor> read(std::string const& content, std::string const& name = "model") { return Folder(Contents{{name, content}}).read()[name]; }

/// Little-endian.
std::string number(std::uint64_t value, std::size_t width) {
  std::string out;
  for (std::size_t i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string safetensors(std::string_view header, std::size_t data_bytes) { return number(header.size(), 8) + std::string(header) + std::string(data_bytes, '\0'); }

std::string gguf_text(std::string_view text) { return number(text.size(), 8) + std::string(text); }
std::string gguf_tensor(std::string_view name, std::uint64_t elements, std::uint32_t type, std::uint64_t offset) {
  return gguf_text(name) + number(1, 4) + number(elements, 8) + number(type, 4) + number(offset, 8);
}

std::string npy(std::string const& header, std::string const& data) { return std::string("\x93NUMPY\x01\x00", 8) + number(header.size(), 2) + header + data; }

/// A ZIP archive of stored files.
std::string zip(Contents const& files, std::uint16_t method = 0) {
  std::string out, directory;
  for (auto const& [name, content] : files) {
    directory += number(0x02014b50, 4) + number(20, 2) + number(20, 2) + number(0, 2) + number(method, 2) + number(0, 4) + number(0, 4) + number(content.size(), 4) +
                 number(content.size(), 4) + number(name.size(), 2) + number(0, 2) + number(0, 2) + number(0, 2) + number(0, 2) + number(0, 4) + number(out.size(), 4) + name;
    // numpy's local headers have an extra field that the directory has not.
    out += number(0x04034b50, 4) + number(45, 2) + number(0, 2) + number(method, 2) + number(0, 4) + number(0, 4) + number(content.size(), 4) + number(content.size(), 4) +
           number(name.size(), 2) + number(20, 2) + name + number(1, 2) + number(16, 2) + number(content.size(), 8) + number(content.size(), 8) + content;
  }
  auto const at = out.size();
  return out + directory + number(0x06054b50, 4) + number(0, 4) + number(files.size(), 2) + number(files.size(), 2) + number(directory.size(), 4) + number(at, 4) + number(0, 2);
}

/// FlatBuffers from the front: tables whose fields are offsets to what comes later.
class FlatWriter {
public:
  std::string bytes;
  /// A table with a vtable before it; its fields are 4 bytes each, one after another. @returns where the fields begin
  std::size_t table(std::vector<std::uint32_t> const& fields) {
    auto const vtable = bytes.size();
    bytes += number(4 + 2 * fields.size(), 2) + number(4 + 4 * fields.size(), 2);
    for (std::size_t i = 0; i < fields.size(); ++i) bytes += number(4 + 4 * i, 2);
    auto const table = bytes.size();
    bytes += number(table - vtable, 4);
    for (auto const field : fields) bytes += number(field, 4);
    return table + 4;
  }
  void point(std::size_t at, std::size_t to) { bytes.replace(at, 4, number(to - at, 4)); }
  std::size_t vector(std::string const& content, std::size_t count) {
    bytes += number(count, 4) + content;
    return bytes.size() - content.size() - 4;
  }
};

/// One subgraph with one tensor of type int8 and shape [3, 2], whose data is in buffer 1.
std::string tflite() {
  FlatWriter out;
  out.bytes = number(0, 4) + "TFL3";
  auto const model = out.table({3, 0, 0, 0, 0});
  out.point(0, model - 4);
  auto const subgraphs = out.vector(number(0, 4), 1);
  out.point(model + 8, subgraphs);
  auto const subgraph = out.table({0});
  out.point(subgraphs + 4, subgraph - 4);
  auto const tensors = out.vector(number(0, 4), 1);
  out.point(subgraph, tensors);
  auto const tensor = out.table({0, 9, 1, 0});
  out.point(tensors + 4, tensor - 4);
  out.point(tensor, out.vector(number(3, 4) + number(2, 4), 2));
  out.point(tensor + 12, out.vector("conv/w", 6));
  auto const buffers = out.vector(number(0, 4) + number(0, 4), 2);
  out.point(model + 16, buffers);
  out.bytes.replace(model + 4, 4, number(0, 4));
  auto const empty = out.table({});
  out.point(buffers + 4, empty - 4);
  auto const buffer = out.table({0});
  out.point(buffers + 8, buffer - 4);
  out.point(buffer, out.vector("abcdef", 6));
  return out.bytes;
}

}  // namespace

TEST_CASE("safetensors") {
  auto const found =
      read(safetensors(R"({"__metadata__":{"a":"b"},"w":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 16));
  REQUIRE(found.size() == 2);
  CHECK(found[0] == Tensor{"b", Type::f32, {1}, found[0].offset, 4});
  CHECK(found[1] == Tensor{"w", Type::bf16, {2, 3}, found[0].offset + 4, 12});
}

TEST_CASE("GGUF: values of every kind before the tensors, data aligned as it says") {
  std::string const keys = gguf_text("general.architecture") + number(8, 4) + gguf_text("llama") + gguf_text("general.alignment") + number(4, 4) + number(64, 4) +
                           gguf_text("tokens") + number(9, 4) + number(8, 4) + number(2, 8) + gguf_text("a") + gguf_text("bc") + gguf_text("scores") + number(9, 4) + number(6, 4) +
                           number(3, 8) + std::string(12, 'x') + gguf_text("flag") + number(7, 4) + number(1, 1);
  auto file = "GGUF" + number(3, 4) + number(2, 8) + number(5, 8) + keys + gguf_tensor("blk.0.w", 64, 2, 0) + gguf_tensor("blk.0.k", 512, 14, 64);
  file.resize((file.size() + 63) / 64 * 64);
  auto const data = file.size();
  file.resize(data + 64 + 420);
  auto const found = read(file);
  REQUIRE(found.size() == 2);
  CHECK(found[0] == Tensor{"blk.0.w", Type::q4_0, {64}, data, 36});
  CHECK(found[1] == Tensor{"blk.0.k", Type::q6_k, {512}, data + 64, 420});
  CHECK(record_bytes(Type::q4_0) == 18);
  CHECK(record_bytes(Type::q6_k) == 210);
  file.resize(file.size() - 1);
  CHECK(read(file).empty());
}

TEST_CASE("NumPy: an array, and a stored archive of them") {
  std::string const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
  auto const array = npy(header, std::string(24, 'x'));
  CHECK(read(array) == std::vector{Tensor{"", Type::f32, {2, 3}, 10 + header.size(), 24}});
  CHECK(read(npy("{'descr': '>f4', 'shape': ()}", "abcd")) == std::vector{Tensor{"", Type::bytes, {}, 39, 4}});
  CHECK(read(npy("{'descr': '<f4', 'shape': (x)}", "abcd")).empty());

  auto const archive = zip(Contents{{"bias.npy", array}, {"readme.txt", "no array"}, {"weight.npy", array}});
  auto const found = read(archive);
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "bias.npy");
  CHECK(found[1].name == "weight.npy");
  CHECK(found[1].type == Type::f32);
  CHECK(archive.substr(found[1].offset, found[1].length) == std::string(24, 'x'));
  CHECK(read(zip(Contents{{"weight.npy", array}}, 8)).empty());
}

TEST_CASE("TFLite: tensors lie where their buffers do") {
  auto const file = tflite();
  auto const found = read(file);
  REQUIRE(found.size() == 1);
  CHECK(found[0].name == "conv/w");
  CHECK(found[0].type == Type::i8);
  CHECK(found[0].shape == std::vector<std::uint64_t>{3, 2});
  CHECK(file.substr(found[0].offset, found[0].length) == "abcdef");
}

TEST_CASE("ONNX: data in the file, and in another one beside it") {
  using namespace inspect::testing;
  auto const entry = [](std::string const& key, std::string const& value) { return field(13, field(1, key) + field(2, value)); };
  auto const own = field(5, field(1, 2) + field(1, 2) + field(2, 1) + field(8, std::string("own")) + field(9, std::string(16, 'w')));
  auto const other = field(5, field(1, 3) + field(2, 10) + field(8, std::string("other")) + entry("location", "./weights.bin") + entry("offset", "4") + field(14, 1));
  auto const numbers = field(5, field(1, 1) + field(2, 7) + field(8, std::string("numbers")) + field(7, varint(300)));
  auto const model = model_with(own + other + numbers);
  auto found = Folder(Contents{{"a/model.onnx", model}, {"a/weights.bin", std::string(10, 'x')}, {"weights.bin", "zzzz"}}).read();
  REQUIRE(found["a/model.onnx"].size() == 2);
  CHECK(found["a/model.onnx"][0] == Tensor{"own", Type::f32, {2, 2}, model.find("wwww"), 16});
  CHECK(found["a/model.onnx"][1].type == Type::bytes);
  CHECK(found["a/weights.bin"] == std::vector{Tensor{"other", Type::f16, {3}, 4, 6}});
  CHECK_FALSE(found.contains("weights.bin"));
}

TEST_CASE("what is broken, of no known format, or out of bounds has no tensors") {
  CHECK(read("").empty());
  CHECK(read("not a model").empty());
  CHECK(read("not a model", "model.onnx").empty());
  CHECK(read(safetensors(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,5]}})", 4)).empty());
  CHECK(read(safetensors(R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4)).empty());
  CHECK(read(safetensors(R"({"w":)", 4)).empty());
  // Two tensors over one another: one of them.
  CHECK(read(safetensors(R"({"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})", 6)).size() == 1);
}
