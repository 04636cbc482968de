#include "core/inspect/expected.hpp"

#include "core/proof/compare.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace fleet;
using namespace fleet::inspect;

TEST_CASE("the expected output of a golden test is looked into before anything is published") {
  std::string folder = "/tmp/fleet-expected-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  REQUIRE(system_fs().replace(folder + "/blob", "id,score\n1,0.5\n").has_value());
  std::vector<VariantFile> files{{"golden/out.csv", folder + "/blob", 15}};
  auto const refusal = [&](std::map<std::string, double> tolerances, std::string expect = "golden/out.csv") {
    wire::Manifest manifest;
    manifest.golden = wire::Golden{{"run"}, Millis{1'000}, {}, std::move(expect), 0, std::move(tolerances)};
    auto const checked = check_expected(system_fs(), files, manifest, [](std::string const& name) { return name == "link.csv" ? "golden/out.csv" : name; });
    return checked ? std::string() : checked.error().code + ": " + checked.error().detail;
  };
  CHECK(refusal({}).empty());
  CHECK(refusal({{"score", 0.1}, {"1", 2}}).empty());
  CHECK(refusal({{"confidence", 0.1}}) ==
        "unknown_column: file 'golden/out.csv', the expected output of the golden test: there is no column 'confidence': the first line has 2 (id, score)");
  CHECK(refusal({{"confidence", 0.1}}, "link.csv").find("unknown_column") == 0);
  CHECK(check_expected(system_fs(), files, {}, [](std::string const& name) { return name; }).has_value());
  files[0].size = proof::kOutputBytesMax + 1;
  CHECK(refusal({}).find("expected_too_large") == 0);
  static_cast<void>(system_fs().remove_tree(folder));
}
