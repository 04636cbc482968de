// Feeds every file of a corpus, and every prefix of it, to a fuzz target. usage: replay_<name> CORPUS_DIR
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::size_t files = 0;
  for (auto const& entry : std::filesystem::directory_iterator(argv[1])) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::vector<char> const bytes{std::istreambuf_iterator<char>(file), {}};
    for (std::size_t size = 0; size <= bytes.size(); ++size) LLVMFuzzerTestOneInput(reinterpret_cast<std::uint8_t const*>(bytes.data()), size);
    ++files;
  }
  std::printf("%zu files of the corpus replayed\n", files);
  return files > 0 ? 0 : 1;
}
