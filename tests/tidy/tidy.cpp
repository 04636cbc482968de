// usage: tidy [--self-test]: holds the house's rules over the repository, exit 1 with the findings.
#include "tests/support/source_dir.hpp"
#include "tests/tidy/rules.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string_view>

namespace {

namespace fs = std::filesystem;

tidy::Source read(fs::path const& root, fs::path const& path) {
  tidy::Source source{fs::relative(path, root).string(), {}};
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) source.lines.push_back(line);
  return source;
}

std::vector<tidy::Finding> check_tree(fs::path const& root) {
  std::vector<tidy::Finding> found;
  for (auto const* const top : {"core", "server", "agent", "cli", "tests", "examples"}) {
    std::set<fs::path> folders{root / top};
    for (auto const& entry : fs::recursive_directory_iterator(root / top)) {
      auto const extension = entry.path().extension();
      bool const code = extension == ".cpp" || extension == ".hpp";
      if (entry.path().parent_path() == root / "tests" / "tidy") continue;  // it spells out what it looks for
      if (!code && entry.path().filename() != "README.md") continue;
      bool const house = top != std::string_view("examples") && top != std::string_view("tests");
      if (code && house) folders.insert(entry.path().parent_path());
      auto const source = read(root, entry.path());
      auto const more = code ? tidy::check(source) : house ? tidy::check_readme(source) : std::vector<tidy::Finding>{};
      found.insert(found.end(), more.begin(), more.end());
    }
    for (auto const& folder : folders)
      if (!fs::exists(folder / "README.md")) found.push_back({fs::relative(folder, root).string(), 0, "readme", "README.md is missing"});
  }
  return found;
}

struct Fixture {
  std::string_view rule;
  tidy::Source source;
};

std::vector<Fixture> fixtures() {
  std::vector<std::string> const lines(401, "int x;"), body(71, "  x();");
  std::vector<std::string> function{"void f() {"};
  function.insert(function.end(), body.begin(), body.end());
  function.emplace_back("}");
  return {
      {"layer", {"core/wire/a.cpp", {"#include \"core/net/http.hpp\""}}},
      {"layer", {"core/net/a.cpp", {"#include \"server/services.hpp\""}}},
      {"layer", {"agent/update/a.cpp", {"#include \"server/services.hpp\""}}},
      {"layer", {"agent/update/a.cpp", {"#include \"agent/link/link.hpp\""}}},
      {"layer", {"server/rollout/engine/a.cpp", {"#include \"server/store/store.hpp\"", "#include \"server/rollout/shell/record.hpp\""}}},
      {"layer", {"server/nowhere/a.cpp", {"#include \"server/store/store.hpp\""}}},
      {"layer", {"cli/render/a.cpp", {"#include \"cli/client/session.hpp\""}}},
      {"vendor", {"server/api/a.cpp", {"#include <sqlite3.h>"}}},
      {"vendor", {"server/api/a.cpp", {"#include <boost/beast/http.hpp>"}}},
      {"vendor", {"server/store/sqlite/a.hpp", {"#pragma once", "#include <sqlite3.h>"}}},
      {"vendor", {"agent/update/a.hpp", {"#pragma once", "#include <boost/json/value.hpp>"}}},
      {"file length", {"core/base/a.cpp", lines}},
      {"function length", {"core/base/a.cpp", function}},
      {"purity", {"server/rollout/a.cpp", {"auto t = std::chrono::system_clock::now();"}}},
      {"purity", {"cli/main.cpp", {"auto e = getenv(\"HOME\");"}}},
      {"accessor", {"server/admin/a.cpp", {"auto const now = system_clock().wall();"}}},
      {"accessor", {"core/net/a.hpp", {"#pragma once", "void wait(Clock& clock = system_clock());"}}},
      {"accessor", {"cli/signing/a.cpp", {"auto const key = generate(fleet::system_random());"}}},
      {"accessor", {"agent/commands/main.cpp", {"run(system_random());"}}},
      {"disk", {"agent/store/a.cpp", {"  int const fd = ::open(path.c_str(), O_RDONLY);"}}},
      {"disk", {"server/blobs/a.cpp", {"if (::fdatasync(fd) != 0) return;"}}},
      {"disk", {"cli/publish/a.cpp", {"std::ofstream(path) << text;"}}},
      {"co_await", {"core/net/a.cpp", {"co_await send({1, 2});"}}},
      {"prompt", {"core/crypto/a.cpp", {"auto* key = PEM_read_bio_PUBKEY(bio, nullptr, nullptr, nullptr);"}}},
      {"co_await", {"core/net/a.cpp", {"co_await run([&](int) { });"}}},
      {"debt", {"core/net/a.cpp", {std::string("// TO").append("DO later")}}},
      {"header", {"core/net/a.hpp", {"#pragma once", "using namespace std;"}}},
      {"header", {"core/net/a.hpp", {"int x;"}}},
      {"sleep", {"tests/unit/a.cpp", {"std::this_thread::sleep_for(1s);"}}},
  };
}

int self_test() {
  int missed = 0;
  for (auto const& [rule, source] : fixtures()) {
    bool found = false;
    for (auto const& finding : tidy::check(source)) found = found || finding.rule == rule;
    if (!found) fmt::print("rule '{}' did not find its fixture: {}\n", rule, source.lines.front());
    missed += found ? 0 : 1;
  }
  return missed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--self-test") return self_test();
  auto const found = check_tree(fleet::test::source_dir());
  for (auto const& [path, line, rule, text] : found) fmt::print("{}:{}: {}: {}\n", path, line, rule, text);
  fmt::print("{} findings\n", found.size());
  return found.empty() ? 0 : 1;
}
