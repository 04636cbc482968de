#include "core/crypto/hash.hpp"
#include "core/trust/metadata.hpp"
#include "tests/unit/core/trust/simulator.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace fleet;
using namespace fleet::trust;
using namespace fleet::trust::simulator;

namespace {

constexpr auto kPath = "models/reader/1/release.json";

/// A tree of roles, all of one key: each delegates `models/*/*/*` to its children in order.
struct Tree {
  Repository repository;
  std::map<std::string, MetaEntry> meta{{"targets.json", {1}}};

  void role(std::string const& name, std::vector<std::string> const& children, bool terminating, std::uint64_t length) {
    std::vector<Delegation> delegations;
    for (auto const& child : children) delegations.push_back({child, {{repository.model.public_key()}, 1}, {"models/*/*/*"}, terminating});
    std::vector<Target> targets;
    if (length > 0) targets.push_back({kPath, length, {{"sha256", std::string(64, 'a')}}, ""});
    auto const& key = name == "targets" ? repository.targets : repository.model;
    repository.files["1." + name + ".json"] = compose_targets(1, kFar, targets, delegations, std::array{key});
    meta[name + ".json"] = {1};
    repository.files["1.snapshot.json"] = compose_snapshot(1, kFar, meta, std::array{repository.snapshot});
  }
  /// The length that the path has where it was found; 0 when nowhere.
  std::uint64_t search() {
    Client client(repository);
    auto updater = *Updater::load(client.disk, repository, kNow);
    REQUIRE(updater.refresh().has_value());
    auto const found = updater.find(kPath);
    REQUIRE(found.has_value());
    return *found ? (*found)->length : 0;
  }
};

/// A role that covers by patterns or by prefixes of hashes.
DelegatedRole covering(std::vector<std::string> paths, std::vector<std::string> prefixes) {
  DelegatedRole out;
  out.paths = std::move(paths);
  out.path_hash_prefixes = std::move(prefixes);
  return out;
}

SuccinctRoles bins_of(int bits) {
  SuccinctRoles out;
  out.bits = bits;
  out.prefix = "bin";
  return out;
}

}  // namespace

TEST_CASE("CVE-2024-47534: delegations are asked in their order, a child before the next sibling") {
  Tree tree;
  tree.role("targets", {"first", "second"}, false, 0);
  tree.role("second", {}, false, 2);
  tree.role("first", {}, false, 1);
  CHECK(tree.search() == 1);
  tree.role("first", {"child"}, false, 0);
  tree.role("child", {}, false, 3);
  CHECK(tree.search() == 3);
  tree.role("child", {}, false, 0);
  CHECK(tree.search() == 2);
}

TEST_CASE("a terminating delegation ends the search for its siblings and its ancestors' siblings") {
  Tree tree;
  tree.role("targets", {"first", "second"}, false, 0);
  tree.role("first", {"child", "sibling"}, true, 0);
  tree.role("child", {}, false, 0);
  tree.role("sibling", {}, false, 4);
  tree.role("second", {}, false, 2);
  CHECK(tree.search() == 0);
}

TEST_CASE("circles of delegations end, and no search asks more roles than its limit") {
  Tree tree;
  tree.role("targets", {"a"}, false, 0);
  tree.role("a", {"b"}, false, 0);
  tree.role("b", {"a"}, false, 0);
  CHECK(tree.search() == 0);
  struct Row {
    int depth;
    std::uint64_t found;
  };
  for (auto const& [depth, found] : std::to_array<Row>({{32, 9}, {33, 0}})) {
    CAPTURE(depth);
    Tree deep;
    deep.role("targets", {"r1"}, false, 0);
    for (int i = 1; i < depth; ++i) deep.role(fmt::format("r{}", i), {fmt::format("r{}", i + 1)}, false, 0);
    deep.role(fmt::format("r{}", depth), {}, false, 9);
    CHECK(deep.search() == found);
  }
}

TEST_CASE("a path must fit at every hop") {
  Tree tree;
  tree.role("targets", {"a"}, false, 0);
  tree.role("a", {}, false, 5);
  CHECK(tree.search() == 5);
  tree.repository.files["1.targets.json"] =
      edited(tree.repository.files["1.targets.json"], tree.repository.targets, "/delegations/roles/0/paths", R"(["models/other/*/*"])");
  CHECK(tree.search() == 0);
}

TEST_CASE("a role that two delegate to is judged by the one that the search came from") {
  Repository repository;
  auto const other = SigningKey::generate(repository.random);
  auto const delegate = [&](SigningKey const& key, std::string const& role, std::string const& paths) {
    return Delegation{role, {{key.public_key()}, 1}, {paths}, false};
  };
  repository.delegations = {delegate(repository.model, "a", "models/a/*/*"), delegate(repository.model, "b", "models/b/*/*")};
  repository.publish();
  for (auto const& [name, key] : {std::pair("a", repository.model), std::pair("b", other)})
    repository.files[std::string("1.") + name + ".json"] =
        compose_targets(1, kFar, {}, {delegate(key, "shared", "models/*/*/*")}, std::array{repository.model});
  std::vector<Target> const targets{{"models/a/1/x", 1, {{"sha256", "00"}}, ""}, {"models/b/1/x", 1, {{"sha256", "00"}}, ""}};
  repository.files["1.shared.json"] = compose_targets(1, kFar, targets, {}, std::array{repository.model});
  repository.files["1.snapshot.json"] =
      compose_snapshot(1, kFar, {{"targets.json", {1}}, {"a.json", {1}}, {"b.json", {1}}, {"shared.json", {1}}}, std::array{repository.snapshot});
  Client client(repository);
  auto updater = *Updater::load(client.disk, repository, kNow);
  REQUIRE(updater.refresh().has_value());
  CHECK(updater.find("models/a/1/x").value().has_value());
  CHECK(updater.find("models/b/1/x").error().code == "threshold_unmet");
}

TEST_CASE("4.5: patterns of paths, where a star does not cross a slash") {
  struct Row {
    std::string pattern, path;
    bool covered;
  };
  using namespace std::string_literals;
  for (auto const& [pattern, path, covered] : std::to_array<Row>({
           {"*", "a", true},
           {"*", "a/b", false},
           {"*/*", "a/b", true},
           {"models/reader/*/release.json", kPath, true},
           {"models/reader/*/release.json", "models/reader/1/2/release.json", false},
           {"models/reader/*/release.json", "models/readers/1/release.json", false},
           {"models/r?ader/*/*", kPath, true},
           {"models?reader/*/*", kPath, false},
           {"models/[rs]eader/*/*", kPath, true},
           {"models/[!r]eader/*/*", kPath, false},
           {"models", kPath, false},
           {"", "", true},
           {"\\*", "\\a", true},
           {"\\*", "*", false},
           {"a\0z"s, "a", false},
           {"a", "a\0z"s, false},
       })) {
    CAPTURE(pattern);
    CAPTURE(path);
    CHECK(covering({pattern}, {}).covers(path) == covered);
  }
}

TEST_CASE("4.5: prefixes of a path's hash") {
  auto const hash = crypto::sha256(std::string_view(kPath)).hex();
  CHECK(covering({}, {hash.substr(0, 2)}).covers(kPath));
  CHECK(covering({}, {"zz", hash}).covers(kPath));
  CHECK_FALSE(covering({}, {"zz"}).covers(kPath));
  CHECK_FALSE(covering({}, {}).covers(kPath));
}

TEST_CASE("TAP 15: bins are named by the leading bits of the path's hash, and nothing else is a bin") {
  auto const hash = crypto::sha256(std::string_view(kPath)).hex();
  CHECK(bins_of(8).role_of(kPath) == "bin-" + hash.substr(0, 2));
  CHECK(bins_of(32).role_of(kPath) == "bin-" + hash.substr(0, 8));
  CHECK(bins_of(1).role_of(kPath) == (hash[0] < '8' ? "bin-0" : "bin-1"));
  auto const bins = bins_of(5);
  CHECK(bins.has(bins.role_of(kPath)));
  for (auto const* const good : {"bin-00", "bin-1f"}) CHECK(bins.has(good));
  for (auto const* const bad : {"bin-20", "bin-1F", "bin-1", "bin-001", "bin-", "bin", "other-00", "bin--1", "bin-1g", "bin-1 "}) {
    CAPTURE(bad);
    CHECK_FALSE(bins.has(bad));
  }
}

TEST_CASE("what metadata must look like, whoever signed it") {
  struct Row {
    char const* file;
    SigningKey Repository::*key;
    char const* pointer;
    char const* value;
  };
  constexpr auto kRole = "/delegations/roles/0";
  auto const role = [&](char const* member) { return std::string(kRole) + member; };
  auto const name = role("/name"), paths = role("/paths"), prefixes = role("/path_hash_prefixes"), threshold = role("/threshold"), ends = role("/terminating"),
             ids = role("/keyids");
  for (
      auto const& [file, key, pointer, value] : std::to_array<Row>({
          {"timestamp.json", &Repository::timestamp, "/spec_version", R"("2.0.0")"},
          {"timestamp.json", &Repository::timestamp, "/_type", R"("snapshot")"},
          {"timestamp.json", &Repository::timestamp, "/version", "0"},
          {"timestamp.json", &Repository::timestamp, "/version", "-1"},
          {"timestamp.json", &Repository::timestamp, "/version", R"("1")"},
          {"timestamp.json", &Repository::timestamp, "/meta/snapshot.json", ""},
          {"timestamp.json", &Repository::timestamp, "/meta/snapshot.json/version", "0"},
          {"timestamp.json", &Repository::timestamp, "/meta/snapshot.json/length", "-1"},
          {"1.snapshot.json", &Repository::snapshot, "/meta", "[]"},
          {"1.snapshot.json", &Repository::snapshot, "/meta/m-reader.json", "1"},
          {"1.targets.json", &Repository::targets, "/targets", ""},
          {"1.targets.json", &Repository::targets, "/delegations", "[]"},
          {"1.targets.json", &Repository::targets, "/delegations/roles",
           R"([{"name":"x","keyids":[],"threshold":1,"terminating":true,"paths":["*"]},{"name":"x","keyids":[],"threshold":1,"terminating":true,"paths":["*"]}])"},
          {"1.targets.json", &Repository::targets, name.c_str(), R"("root")"},
          {"1.targets.json", &Repository::targets, name.c_str(), R"("targets")"},
          {"1.targets.json", &Repository::targets, name.c_str(), R"("")"},
          {"1.targets.json", &Repository::targets, paths.c_str(), ""},
          {"1.targets.json", &Repository::targets, prefixes.c_str(), "[]"},
          {"1.targets.json", &Repository::targets, threshold.c_str(), "0"},
          {"1.targets.json", &Repository::targets, ends.c_str(), ""},
          {"1.targets.json", &Repository::targets, ids.c_str(), R"(["a","a"])"},
          {"1.targets.json", &Repository::targets, "/delegations/succinct_roles", "{}"},
          {"1.m-reader.json", &Repository::model, "/targets/x", R"({"length":-1,"hashes":{"sha256":"00"}})"},
          {"1.m-reader.json", &Repository::model, "/targets/x", R"({"hashes":{"sha256":"00"}})"},
          {"1.m-reader.json", &Repository::model, "/targets/x", R"({"length":1})"},
          {"1.m-reader.json", &Repository::model, "/targets/x", R"({"length":1,"hashes":{"sha256":5}})"},
      })) {
    CAPTURE(file);
    CAPTURE(pointer);
    CAPTURE(value);
    Repository repository;
    repository.files[file] = edited(repository.files[file], repository.*key, pointer, value);
    Client client(repository);
    CHECK(client.refresh(repository) == "bad_metadata");
  }
}

TEST_CASE("CVE-2025-67903: a target is its length and every hash that is known; without one it is nothing") {
  auto const abc = crypto::sha256(std::string_view("abc")).hex();
  struct Row {
    char const* what;
    std::uint64_t length;
    std::map<std::string, std::string> hashes;
    bool good;
  };
  for (auto const& [what, length, hashes, good] : std::to_array<Row>({
           {"right", 3, {{"sha256", abc}}, true},
           {"with one that is unknown", 3, {{"sha256", abc}, {"blake3", "00"}}, true},
           {"longer", 2, {{"sha256", abc}}, false},
           {"shorter", 4, {{"sha256", abc}}, false},
           {"another hash", 3, {{"sha256", std::string(64, '0')}}, false},
           {"one of two differs", 3, {{"sha256", abc}, {"sha512", std::string(128, '0')}}, false},
           {"cut hash", 3, {{"sha256", abc.substr(0, 8)}}, false},
           {"unknown only", 3, {{"blake3", "00"}}, false},
           {"none", 3, {}, false},
       })) {
    CAPTURE(what);
    CHECK(verify_target({"x", length, hashes, ""}, as_bytes("abc")).has_value() == good);
  }
}
