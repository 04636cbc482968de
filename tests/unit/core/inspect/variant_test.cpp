#include "core/inspect/variant.hpp"
#include "core/inspect/stand_in.hpp"
#include "protobuf_writer.hpp"

#include <doctest/doctest.h>
#include <cstdlib>

#include <map>

using namespace fleet;
using namespace fleet::inspect;
using namespace fleet::inspect::testing;

namespace {

std::string entry(std::string const& key, std::string const& value) { return field(13, field(1, key) + field(2, value)); }

/// A float32 tensor of 4 x 4 whose data lies elsewhere.
std::string external(std::string const& location, std::string const& rest = entry("offset", "64") + entry("length", "64")) {
  return field(1, 4) + field(1, 4) + field(2, 1) + field(8, "w") + (location.empty() ? "" : entry("location", location)) + rest + field(14, 1);
}
std::string model_of(std::string const& tensor) { return model_with(field(5, tensor)); }

/// A variant's files in a folder of their own; what is found in them.
struct Folder {
  std::string path;
  std::vector<VariantFile> files;
  Folder() {
    std::string name = "/tmp/fleet-inspect-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { static_cast<void>(system_fs().remove_tree(path)); }
  Folder(Folder const&) = delete;
  Folder& add(std::string const& name, std::string const& content) {
    auto const at = path + "/" + std::to_string(files.size());  // the server's blobs are not called as the files are
    REQUIRE(system_fs().replace(at, content).has_value());
    files.push_back({name, at, content.size()});
    return *this;
  }
  [[nodiscard]] std::string refusal() const {
    auto const checked = Inspector(system_fs()).check(files);
    return checked ? std::string() : checked.error().code + " " + checked.error().detail;
  }
};

bool says(std::string const& text, std::string_view what) { return text.find(what) != std::string::npos; }

}  // namespace

TEST_CASE("a model whose weights lie beside it is taken whole, and refused when they are missing, renamed, cut or outside") {
  std::string const weights(128, 'w');
  CHECK(Folder().add("model.onnx", model_of(external("model.onnx.data"))).add("model.onnx.data", weights).refusal().empty());
  CHECK(Folder().add("a/model.onnx", model_of(external("./w/0.bin"))).add("a/w/0.bin", weights).refusal().empty());
  auto const alone = Folder().add("a/model.onnx", model_of(external("w.bin"))).add("w.bin", weights).refusal();
  CHECK_MESSAGE(says(alone, "missing_file file 'a/model.onnx': the data of its tensor 'w' is in 'w.bin', which is not there"), alone);
  CHECK(says(Folder().add("model.onnx", model_of(external("w.bin"))).add("weights.bin", weights).refusal(), "which is not there"));
  CHECK(says(Folder().add("model.onnx", model_of(external("w.bin"))).add("w.bin", weights.substr(0, 127)).refusal(), "which has 127 bytes of 128"));
  for (auto const* const outside : {"../w.bin", "/etc/passwd", "a/../../w.bin", "a\\w.bin"})
    CHECK_MESSAGE(says(Folder().add("m/model.onnx", model_of(external(outside))).add("w.bin", weights).refusal(), "outside the model's own folder"), outside);
}

TEST_CASE("without a length, the tensor's shape and type say what it takes") {
  CHECK(Folder().add("m.onnx", model_of(external("w", ""))).add("w", std::string(64, 'w')).refusal().empty());
  CHECK(says(Folder().add("m.onnx", model_of(external("w", ""))).add("w", std::string(63, 'w')).refusal(), "63 bytes of 64"));
  CHECK(says(Folder().add("m.onnx", model_of(external("w", entry("offset", "x")))).add("w", "").refusal(), "is no number"));
  CHECK(says(Folder().add("m.onnx", model_of(external(""))).refusal(), "nothing says where"));
}

TEST_CASE("external data is found wherever a tensor may stand: attributes, graphs within nodes, sparse tensors, functions") {
  auto const tensor = external("gone.bin");
  auto const node = [](std::string const& attribute) { return field(1, field(5, attribute)); };
  for (auto const& graph : {
           field(15, field(1, tensor)),                            // sparse_initializer
           node(field(5, tensor)),                                 // AttributeProto.t
           node(field(10, tensor)),                                // .tensors
           node(field(22, field(1, tensor))),                      // .sparse_tensor
           node(field(6, field(5, tensor))),                       // .g, an initializer in it
           node(field(11, node(field(6, field(5, tensor))))),      // .graphs, a graph within its node
       })
    CHECK(says(Folder().add("m.onnx", model_with(graph)).refusal(), "'gone.bin', which is not there"));
  auto const function = field(25, field(7, field(5, field(5, tensor))));
  CHECK(says(Folder().add("m.onnx", model_with("") + function).refusal(), "'gone.bin', which is not there"));
  std::string deep = field(5, tensor);
  for (int i = 0; i < 40; ++i) deep = node(field(6, deep));
  CHECK(says(Folder().add("m.onnx", model_with(deep)).refusal(), "too deep"));
}

TEST_CASE("stand-ins are refused whatever the ending of their name") {
  std::string const oid(64, 'a');
  for (auto const& text : {"version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 48605698\n",
                           "version https://git-lfs.github.com/spec/v1\r\next-0-x sha256:" + oid + "\r\noid sha256:" + oid + "\r\nsize 1\r\n",
                           "version https://hawser.github.com/spec/v1\noid sha256:" + oid + "\nsize 1\n",
                           std::string("/annex/objects/SHA256E-s30--1\n"), std::string("# xet version 0\nfilesize = 1\n")})
    for (auto const* const name : {"model.onnx", "model.tflite", "weights", "a/model.engine"}) {
      auto const refusal = Folder().add(name, text).refusal();
      CHECK_MESSAGE(says(refusal, "stand_in file '" + std::string(name) + "' is a pointer of "), refusal);
    }
  CHECK(Folder().add("README.md", "Fetch with git lfs: version https://git-lfs.github.com/spec/v1\n").refusal().empty());
  CHECK(Folder().add("empty", "").refusal().empty());
}

TEST_CASE("weights in parts are published with every part") {
  auto const index = R"({"metadata":{},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})";
  CHECK(Folder().add("model.safetensors.index.json", index).add("model-00001-of-00002.safetensors", "1").add("model-00002-of-00002.safetensors", "2").refusal().empty());
  CHECK(says(Folder().add("s/m.safetensors.index.json", R"({"weight_map":{"a":"x.safetensors"}})").add("x.safetensors", "1").refusal(),
             "its tensor 'a' is in 'x.safetensors', which is not there"));
  CHECK(says(Folder().add("m-00001-of-00003.gguf", "1").add("m-00002-of-00003.gguf", "2").refusal(), "'m-00003-of-00003.gguf' is not there"));
  CHECK(says(Folder().add("m-00002-of-00002.gguf", "2").refusal(), "'m-00001-of-00002.gguf' is not there"));
  CHECK(says(Folder().add("m-00001-of-99999.bin", "2").refusal(), "it is one of 99999 parts"));
  for (auto const* const other : {"train-00001-of-00003.parquet", "-00001-of-00002.bin.txt", "a-0001-of-0002.gguf", "x-00005-of-00002.gguf", "-of-", "of.index.json"})
    CHECK_MESSAGE(Folder().add(other, "{}").refusal().empty(), other);
}
