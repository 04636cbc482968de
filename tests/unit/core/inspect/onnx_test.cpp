#include "core/inspect/onnx.hpp"
#include "core/base/random.hpp"
#include "protobuf_writer.hpp"
#include "tests/support/source_dir.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace fleet;
using namespace fleet::inspect;
using namespace fleet::inspect::testing;

namespace {

/// A file that lies in memory; `reads` counts what was asked of it.
class MemoryFile final : public File {
public:
  MemoryFile(std::string const& content, std::uint64_t size, int& reads) : content_(content), size_(size), reads_(reads) {}
  Result<void> write_at(std::uint64_t, BytesView) override { return Error{}; }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::uint8_t> out) override {
    ++reads_;
    if (offset >= size_) return std::size_t{0};
    auto const count = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), size_ - offset));
    for (std::size_t i = 0; i < count; ++i)
      out[i] = offset + i < content_.size() ? static_cast<std::uint8_t>(content_[static_cast<std::size_t>(offset) + i]) : 0;
    return count;
  }
  Result<std::uint64_t> size() override { return size_; }
  Result<void> truncate(std::uint64_t) override { return Error{}; }
  Result<void> sync() override { return Error{}; }
  Result<void> sync_all() override { return Error{}; }
  Result<void> reserve(std::uint64_t) override { return {}; }

private:
  std::string const& content_;
  std::uint64_t size_;
  int& reads_;
};

/// Hands out one content for every path; as long as `size` says, with zeros behind the content.
class MemoryFs final : public Fs {
public:
  std::string content;
  std::uint64_t size = 0;
  int reads = 0;
  explicit MemoryFs(std::string bytes) : content(std::move(bytes)), size(content.size()) {}
  Result<std::unique_ptr<File>> open(std::string const&, Mode, unsigned) override {
    return std::unique_ptr<File>(std::make_unique<MemoryFile>(content, size, reads));
  }
  Result<std::string> read(std::string const&, std::uint64_t) override { return Error{}; }
  Result<void> replace(std::string const&, std::string_view, unsigned) override { return Error{}; }
  Result<void> make_dirs(std::string const&, unsigned) override { return Error{}; }
  Result<void> rename(std::string const&, std::string const&) override { return Error{}; }
  Result<void> symlink(std::string const&, std::string const&) override { return Error{}; }
  Result<std::string> read_link(std::string const&) override { return Error{}; }
  Result<void> remove(std::string const&) override { return Error{}; }
  Result<void> make_private_dir(std::string const&, Owner) override { return Error{}; }
  Result<void> narrow_dir(std::string const&, unsigned) override { return Error{}; }
  Result<std::string> read_own(std::string const&, std::uint64_t, Owner) override { return Error{}; }
  Result<void> remove_tree(std::string const&) override { return Error{}; }
  Result<std::vector<std::string>> list(std::string const&) override { return Error{}; }
  Result<FileInfo> info(std::string const&) override { return Error{}; }
  Result<void> set_executable(std::string const&, bool) override { return Error{}; }
  Result<void> sync_dir(std::string const&) override { return Error{}; }
  Result<std::uint64_t> free_bytes(std::string const&) override { return Error{}; }
  Result<std::unique_ptr<Lock>> lock(std::string const&, unsigned) override { return Error{}; }
};

Result<OnnxModel> inspected(std::string const& bytes) {
  MemoryFs fs(bytes);
  return inspect_onnx(fs, "model.onnx");
}

std::string fixture(std::string const& name) {
  auto const text = system_fs().read(fleet::test::source_dir() + "/tests/unit/core/inspect/onnx/" + name, 1 << 20);
  REQUIRE(text.has_value());
  return *text;
}

constexpr auto kFixtures = {"dense.onnx", "listed.onnx", "scalar.onnx"};

}  // namespace

TEST_CASE("a model says what it takes, gives and was made by") {
  auto const model = inspected(fixture("dense.onnx"));
  REQUIRE(model.has_value());
  CHECK(
      onnx_json(*model) ==
      R"({"format":"onnx","ir_version":8,"opsets":[{"domain":"ai.onnx","version":17}],"producer":"fleet-tests 1.2","graph":"digits",)"
      R"("inputs":[{"name":"x","type":"float32","shape":["batch","4"]}],"outputs":[{"name":"y","type":"float32","shape":["batch","2"]}],"nodes":2,"initializers":1})");
}

TEST_CASE("an initializer that old models list among the inputs is none") {
  auto const model = inspected(fixture("listed.onnx"));
  REQUIRE(model.has_value());
  CHECK(model->ir_version == 3);
  REQUIRE(model->inputs.size() == 1);
  CHECK(model->inputs[0].name == "x");
  CHECK(model->inputs[0].type == "uint8");
  CHECK(model->opsets == std::vector<std::pair<std::string, std::int64_t>>{{"", 9}, {"com.example", 3}});
  REQUIRE(model->outputs.size() == 1);
  CHECK(model->outputs[0].type == "float16");
  CHECK(model->outputs[0].shape.empty());
}

TEST_CASE("scalars and unknown dimensions have shapes, too") {
  auto const model = inspected(fixture("scalar.onnx"));
  REQUIRE(model.has_value());
  CHECK(model->inputs[0].shape.empty());
  CHECK(model->outputs[0].shape == std::vector<std::string>{"?", "3"});
}

TEST_CASE("what is no ONNX model is refused with the byte where it stops making sense") {
  struct Case {
    std::string_view name;
    std::string bytes;
    std::string_view says;
  };
  std::string const long_varint(12, '\xff');
  for (auto const& [name, bytes, says] : std::vector<Case>{
           {"empty", "", "ir_version"},
           {"text", "version https://git-lfs.github.com/spec/v1\n", "byte 0"},
           {"zip", "PK\x03\x04" + std::string(30, '\0'), "byte"},
           {"zeros", std::string(64, '\0'), "byte 0: 0 is no field number"},
           {"number too long", "\x08" + long_varint, "byte 10"},
           {"group", "\x0b", "wire type 3"},
           {"length past the end", field(1, 8) + "\x3a\x7f", "byte 2: field 7 has 127 bytes, 0 are left"},
           {"graph is a number", field(1, 8) + field(7, 1) + field(8, field(2, 17)), "field 7 is no message"},
           {"node is a number", model_with(field(1, 1)), "field 1 is no message"},
           {"no opset", field(1, 8) + field(7, field(12, field(1, "y"))), "opset_import"},
           {"no graph", field(1, 8) + field(8, field(2, 17)), "graph"},
           {"no outputs", field(1, 8) + field(7, field(1, "")) + field(8, field(2, 17)), "outputs"},
           {"another version", field(1, 100'000) + field(7, field(12, field(1, "y"))) + field(8, field(2, 17)), "ir_version"},
       }) {
    CAPTURE(name);
    auto const model = inspected(bytes);
    REQUIRE_FALSE(model.has_value());
    CHECK(model.error().code == "not_onnx");
    CHECK(model.error().kind == Kind::unprocessable);
    CHECK_MESSAGE(model.error().detail.find(says) != std::string::npos, model.error().detail);
  }
}

TEST_CASE("a model cut at any byte is refused or whole, never a crash") {
  for (std::string const name : kFixtures) {
    auto const bytes = fixture(name);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      auto const model = inspected(bytes.substr(0, length));
      if (!model) CHECK(model.error().code == "not_onnx");
      else CHECK_MESSAGE(name == "listed.onnx", length);  // it ends with a second opset
    }
  }
}

TEST_CASE("a model with any bit flipped, or bytes of chance in it, does no harm") {
  SeededRandom random(7);
  for (std::string const name : kFixtures) {
    auto const bytes = fixture(name);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      auto flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      auto const model = inspected(flipped);
      if (model) CHECK(onnx_json(*model).size() < 10'000);
      else CHECK(model.error().code == "not_onnx");
    }
    for (int round = 0; round < 5'000; ++round) {
      auto mixed = bytes;
      for (int i = 0; i < 4; ++i) mixed[random.next() % mixed.size()] = static_cast<char>(random.next());
      auto const model = inspected(mixed);
      if (!model) CHECK(model.error().code == "not_onnx");
    }
  }
}

TEST_CASE("weights are jumped over, not read") {
  constexpr std::uint64_t kWeights = std::uint64_t{1} << 30;
  auto const name = field(8, "w");
  auto const tensor = name + varint(9 << 3 | 2) + varint(kWeights);  // raw_data
  auto const graph = field(12, field(1, "y")) + varint(5 << 3 | 2) + varint(tensor.size() + kWeights) + tensor;
  MemoryFs fs(field(1, 8) + field(8, field(2, 17)) + varint(7 << 3 | 2) + varint(graph.size() + kWeights) + graph);
  fs.size = fs.content.size() + kWeights;
  auto const model = inspect_onnx(fs, "model.onnx");
  REQUIRE(model.has_value());
  CHECK(model->initializers == 1);
  CHECK(fs.reads < 10);
}

TEST_CASE("a model of 2 GiB is refused, with the way to save it") {
  MemoryFs fs(model_with(""));
  fs.size = std::uint64_t{1} << 31;
  auto const model = inspect_onnx(fs, "model.onnx");
  REQUIRE_FALSE(model.has_value());
  CHECK(model.error().code == "not_onnx");
  CHECK(model.error().detail.find("protobuf") != std::string::npos);
  CHECK(model.error().hint.find("save_as_external_data") != std::string::npos);
  CHECK(fs.reads == 0);
}

TEST_CASE("what a model says is bounded, however much it says") {
  std::string many;
  for (int i = 0; i < 400; ++i) many += field(11, field(1, "input " + std::to_string(i)));
  auto const wide = inspected(model_with(many));
  REQUIRE(wide.has_value());
  CHECK(wide->inputs.size() == 256);
  auto const named = inspected(model_with(field(2, std::string(100'000, 'g'))));
  REQUIRE(named.has_value());
  CHECK(named->graph_name.size() == 256);

  std::string too_many, dimensions, tensors;
  for (int i = 0; i <= 10'000; ++i) too_many += field(11, "");
  for (int i = 0; i < 17; ++i) dimensions += field(1, field(1, 1));
  for (int i = 0; i <= 100'000; ++i) tensors += field(5, "");
  CHECK(inspected(model_with(too_many)).error().detail.find("too many inputs") != std::string::npos);
  CHECK(inspected(model_with(field(11, field(2, field(1, field(2, dimensions)))))).error().detail.find("too many dimensions") != std::string::npos);
  CHECK(inspected(model_with(tensors)).error().detail.find("too many initializers") != std::string::npos);

  MemoryFs endless(field(1, 8));  // then two-byte fields without end: 08 00 08 00 ...
  std::string tiny;
  for (int i = 0; i < 11'000'000; ++i) tiny += std::string_view("\x20\x00", 2);
  endless.content += tiny;
  endless.size = endless.content.size();
  CHECK(inspect_onnx(endless, "m").error().detail.find("more than 10000000 fields") != std::string::npos);
}

TEST_CASE("a name of a model cannot break the JSON it is shown in") {
  auto const model = inspected(model_with(field(2, std::string("a\"\xff\n\\", 5))));
  REQUIRE(model.has_value());
  CHECK(model->graph_name == "a\"??\\");
}
