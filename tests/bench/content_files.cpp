// Makes recipes of files and files of recipes, for the benchmarks of delivery. The folder holds `recipe` and its wire objects by name.
// usage: content-files encode FOLDER TARGET [BASE...]    a delta, or without a base the whole file compressed; prints bytes and how the blocks are made
//        content-files decode FOLDER OUTPUT [BASE...]
#include "core/content/assemble_file.hpp"
#include "core/content/encode/encoder.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fleet;
using namespace fleet::content;

namespace {

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().code + ": " + result.error().detail);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

std::vector<tensors::Tensor> tensors_in(std::string const& path) {
  auto found = must(tensors::tensors_of(system_fs(), {{"file", path, 0}}));
  return found["file"];
}

void write_file(std::string const& path, BytesView bytes) { must(must(system_fs().open(path, Fs::Mode::create_new))->write_at(0, bytes)); }

/// Adds all blocks, and says what they came to.
void run(Encoder const& encoder, std::string const& folder, std::string const& target) {
  auto const digest = must(crypto::sha256_file(system_fs(), target));
  std::uint64_t wire = 0;
  std::map<std::string_view, std::pair<std::size_t, std::uint64_t>> methods;
  RecipeBuilder builder(digest.sha256, digest.size, encoder.bases(), [&](Digest const& name, BytesView bytes) -> Result<void> {
    wire += bytes.size();
    write_file(folder + "/" + name.hex(), bytes);
    return {};
  });
  for (std::size_t i = 0; i < encoder.blocks(); ++i) {
    auto encoded = must(encoder.encode(i));
    auto& [count, bytes] = methods[to_string(encoded.block.method)];
    ++count;
    bytes += encoded.stored.size();
    must(builder.add(std::move(encoded)));
  }
  auto const recipe = must(builder.finish());
  write_file(folder + "/recipe", recipe);
  fmt::print("{} {} {}", wire + recipe.size(), recipe.size(), digest.size);
  for (auto const& [name, sums] : methods) fmt::print(" {}:{}:{}", name, sums.first, sums.second);
  fmt::print("\n");
}

void encode(std::string const& folder, std::string const& target, std::vector<std::string> const& base_paths) {
  auto const source = must(FileSource::open(system_fs(), target));
  std::vector<std::unique_ptr<FileSource>> sources;
  std::vector<std::vector<tensors::Tensor>> lists;
  std::vector<Base> bases;
  lists.reserve(base_paths.size());
  for (auto const& path : base_paths) {
    auto const digest = must(crypto::sha256_file(system_fs(), path));
    sources.push_back(must(FileSource::open(system_fs(), path)));
    lists.push_back(tensors_in(path));
    bases.push_back({{digest.sha256, digest.size}, sources.back().get(), &lists.back()});
  }
  run(must(Encoder::whole(*source, tensors_in(target), bases)), folder, target);
}

void decode(std::string const& folder, std::string const& output, std::vector<std::string> const& base_paths) {
  auto const recipe = must(FileSource::open(system_fs(), folder + "/recipe"));
  auto reader = must(RecipeReader::open(*recipe));
  must(reader.check());
  std::vector<std::unique_ptr<FileSource>> bases;
  for (auto const& path : base_paths) bases.push_back(must(FileSource::open(system_fs(), path)));
  auto const file = must(system_fs().open(output, Fs::Mode::create_new));
  Assembler assembler;
  AtHand from;
  for (auto const& base : bases) from.bases.push_back(base.get());
  std::unique_ptr<FileSource> object;
  from.object = [&](Segment const& segment) -> Result<Source*> {
    FLEET_TRY(object, FileSource::open(system_fs(), folder + "/" + segment.sha256.hex()));
    return object.get();
  };
  must(assemble_file(reader, assembler, from, [&](Block const& block, BytesView bytes) { return file->write_at(block.offset, bytes); }));
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> const arguments(argv + 1, argv + argc);
  if (arguments.size() < 3) return std::fputs("usage: content-files encode|decode FOLDER FILE [BASE...]\n", stderr), 2;
  try {
    std::vector<std::string> const rest(arguments.begin() + 3, arguments.end());
    if (arguments[0] == "encode") encode(arguments[1], arguments[2], rest);
    else decode(arguments[1], arguments[2], rest);
  } catch (std::exception const& fault) {
    return std::fprintf(stderr, "%s\n", fault.what()), 1;
  }
  return 0;
}
