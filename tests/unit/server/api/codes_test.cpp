#include "tests/support/source_dir.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

namespace {

std::string read(std::filesystem::path const& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The codes of errors that the server's source makes, as it writes them: `Kind::conflict, "wrong_state"`, `refused("no_token"`.
std::set<std::string> codes_of(std::string const& source) {
  static std::regex const made(R"re(Kind::\w+,\s*"([a-z0-9_]*[a-z0-9])")re");
  std::set<std::string> out;
  for (std::sregex_iterator at(source.begin(), source.end(), made), end; at != end; ++at) out.insert((*at)[1]);
  return out;
}

}  // namespace

TEST_CASE("every code that a request can be answered with is in docs/api.md") {
  std::filesystem::path const root = fleet::test::source_dir();
  auto const document = read(root / "docs/api.md");
  std::size_t seen = 0;
  for (auto const* const folder : {"access", "api", "blobs", "catalog", "ceremony", "cost", "delivery", "events", "fronts", "registry", "rollout", "signing", "store", "telemetry"}) {
    for (auto const& entry : std::filesystem::recursive_directory_iterator(root / "server" / folder)) {
      auto const room = entry.path().parent_path().filename();
      bool const is_database = room == "sqlite" || room == "postgres" || room == "db" || room == "transfer";  // what these say no request is answered with
      if (!entry.is_regular_file() || is_database) continue;
      for (auto const& code : codes_of(read(entry.path()))) {
        ++seen;
        CHECK_MESSAGE(document.find("`" + code + "`") != std::string::npos, entry.path().filename().string() << ": " << code);
      }
    }
  }
  CHECK(seen > 60);
}
