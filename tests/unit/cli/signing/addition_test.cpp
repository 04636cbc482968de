#include "cli/signing/addition.hpp"
#include "cli/signing/proposal_text.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>

namespace fleet::cli {
namespace {

constexpr auto kHash = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
SysTime const kNow = from_unix_ms(1'800'000'000'000);

std::string path_of(int version) { return fmt::format("models/m/{}/release.json", version); }

trust::Target target(int version) {
  return {path_of(version), 100, {{"sha256", kHash}}, fmt::format(R"({{"hardware":["cam-a"],"release_counter":{},"security_floor":1}})", version)};
}

trust::Targets list(std::int64_t version, int releases) {
  trust::Targets out;
  out.version = version;
  out.expires = kNow + std::chrono::hours{24 * 365};
  for (int i = 1; i <= releases; ++i) out.targets.emplace(path_of(i), target(i));
  return out;
}

std::string code_of(Result<void> const& result) { return result ? "" : result.error().code; }

TEST_CASE("a floor above its release's own counter is not signed") {
  for (auto const& [floor, code] : {std::pair{4, ""}, std::pair{5, "unexpected_change"}}) {
    CAPTURE(floor);
    auto const custom = fmt::format(R"({{"hardware":["cam-a"],"release_counter":4,"security_floor":{}}})", floor);
    trust::Proposal proposal;
    proposal.files.push_back({"m-m", "", trust::compose_targets(2, kNow, {{path_of(4), 100, {{"sha256", kHash}}, custom}}, {}, {})});
    CHECK(code_of(check_floors(proposal)) == code);
    CHECK(proposal_text(proposal).find(fmt::format("\"security_floor\":{}", floor)) != std::string::npos);
  }
}

TEST_CASE("an owner's key signs one release that joins, and nothing else") {
  auto const before = list(7, 2);
  auto const joined = the_addition(before, list(8, 3), path_of(3), kNow);
  REQUIRE(joined.has_value());
  CHECK(joined->path == path_of(3));
  REQUIRE(the_addition(list(1, 0), list(2, 1), path_of(1), kNow).has_value());

  struct Case {
    char const* what;
    std::function<void(trust::Targets&)> change;
  };
  std::vector<Case> const cases{
      {"a version left out", [](auto& after) { after.version = 9; }},
      {"the same version again", [](auto& after) { after.version = 7; }},
      {"expired", [](auto& after) { after.expires = kNow; }},
      {"good for ever", [](auto& after) { after.expires = kNow + std::chrono::hours{24 * 4'000}; }},
      {"a delegation", [](auto& after) { after.delegations.push_back({}); }},
      {"succinct delegations", [](auto& after) { after.succinct.emplace(); }},
      {"an earlier release with another digest", [](auto& after) { after.targets[path_of(1)].hashes["sha256"][0] = 'b'; }},
      {"with another length", [](auto& after) { after.targets[path_of(1)].length = 99; }},
      {"with other hardware", [](auto& after) { after.targets[path_of(1)].custom = R"({"hardware":["cam-b"],"release_counter":1,"security_floor":1})"; }},
      {"with a lower floor", [](auto& after) { after.targets[path_of(1)].custom = R"({"hardware":["cam-a"],"release_counter":1,"security_floor":0})"; }},
      {"gone", [](auto& after) { after.targets.erase(path_of(1)); }},
      {"one more", [](auto& after) { after.targets.emplace(path_of(4), target(4)); }},
      {"another instead", [](auto& after) { after.targets.erase(path_of(3)), after.targets.emplace(path_of(4), target(4)); }},
      {"none", [](auto& after) { after.targets.erase(path_of(3)); }},
      {"a counter that was used", [](auto& after) { after.targets[path_of(3)].custom = target(2).custom; }},
      {"a counter far ahead", [](auto& after) { after.targets[path_of(3)].custom = R"({"hardware":["cam-a"],"release_counter":9007199254740992})"; }},
      {"a counter beyond all", [](auto& after) { after.targets[path_of(3)].custom = R"({"hardware":["cam-a"],"release_counter":9223372036854775808})"; }},
      {"no counter", [](auto& after) { after.targets[path_of(3)].custom = ""; }},
      {"a counter that is no JSON", [](auto& after) { after.targets[path_of(3)].custom = "{"; }},
  };
  for (auto const& [what, change] : cases) {
    CAPTURE(what);
    auto after = list(8, 3);
    change(after);
    auto const result = the_addition(before, after, path_of(3), kNow);
    CHECK((result ? "signed" : result.error().code) == "unexpected_change");
  }
  CHECK_FALSE(the_addition(list(7, 3), list(8, 3), path_of(3), kNow).has_value());
}

TEST_CASE("the metadata's entry says what the release says of itself") {
  wire::Release release;
  release.model = "m";
  release.version = "3";
  release.release_counter = 3;
  release.manifest.security_floor = 1;
  release.variants = {{{"cam-a"}, {}}};
  CHECK(code_of(check_entry(target(3), release, {"m", "3"})).empty());

  std::vector<std::function<void(wire::Release&)>> const changes{
      [](auto& other) { other.model = "n"; },         [](auto& other) { other.version = "4"; },
      [](auto& other) { other.release_counter = 4; }, [](auto& other) { other.manifest.security_floor = 2; },
      [](auto& other) { other.variants.clear(); },    [](auto& other) { other.variants.push_back({{"cam-b"}, {}}); },
  };
  for (auto const& change : changes) {
    auto other = release;
    change(other);
    CHECK(code_of(check_entry(target(3), other, {"m", "3"})) == "unexpected_change");
  }
}

TEST_CASE("a publisher signs what it published, whole") {
  wire::Release sent;
  sent.model = "m";
  sent.version = "3";
  sent.release_counter = 1;
  sent.variants = {{{"cam-a"}, {{"model.bin", 3, {}, false}, {"run", 4, {}, true}}}, {{"cam-b"}, {{"model.bin", 3, {}, false}}}};
  sent.manifest.security_floor = 1;
  auto got = sent;
  got.release_counter = 7;
  CHECK(code_of(check_published(sent, got)).empty());
  std::vector<std::function<void(wire::Release&)>> const changes{
      [](auto& r) {
        r.manifest.activate = {"sh", "-c", "true"};
      },
      [](auto& r) { r.manifest.security_floor = 2; },
      [](auto& r) {
        r.manifest.golden = wire::Golden{{"run"}, Millis{1}, "", "", 0};
      },
      [](auto& r) { r.variants[0].hardware = {"cam-z"}; },
      [](auto& r) { std::swap(r.variants[0].files, r.variants[1].files); },
      [](auto& r) { r.variants[0].files[0].name = "other.bin"; },
      [](auto& r) { r.variants[0].files[0].executable = true; },
      [](auto& r) { r.variants[0].files.pop_back(); },
      [](auto& r) { r.variants.pop_back(); },
  };
  for (auto const& change : changes) {
    auto other = got;
    change(other);
    CHECK(code_of(check_published(sent, other)) == "unexpected_change");
  }
}

}  // namespace
}  // namespace fleet::cli
