#include "core/crypto/hash.hpp"
#include "core/trust/metadata.hpp"
#include "core/trust/trusted_set.hpp"
#include "tests/unit/core/trust/simulator.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cctype>

using namespace fleet;
using namespace fleet::trust;
using namespace fleet::trust::simulator;

TEST_CASE("an honest repository is followed, step by step") {
  Repository repository;
  Client client(repository);
  CHECK(client.refresh(repository) == "ok");
  CHECK(client.refresh(repository) == "ok");
  repository.step();
  CHECK(client.refresh(repository) == "ok");
  CHECK(client.refresh(repository, kNow, "models/other/1/release.json") == "no target");
}

TEST_CASE("CVE-2020-15163: a kept root that does not verify is not trusted") {
  Repository repository;
  Client client(repository);
  auto const forged = edited(repository.files.at("1.root.json"), repository.model, "/version", "2");
  CHECK(client.disk.save("root", as_bytes(forged)).has_value());
  CHECK(client.refresh(repository) == "threshold_unmet");
}

TEST_CASE("CVE-2020-15093, CVE-2026-6966: one key twice does not meet a threshold of two") {
  Repository repository;
  repository.delegations[0].keys.threshold = 2;
  repository.publish();
  Client client(repository);
  CHECK(client.refresh(repository) == "threshold_unmet");
  auto& file = repository.files["1.m-reader.json"];
  auto const sig = file.substr(file.find('[') + 1, file.find(']') - file.find('[') - 1);
  file.insert(file.find(']'), "," + sig);
  CHECK(client.refresh(repository) == "bad_metadata");
}

TEST_CASE("go-tuf f5edbde: one key under two ids counts once") {
  Repository repository;
  auto const twin = repository.model.public_key();
  KeySet const set{{{"a", twin}, {"b", twin}}, 2};
  // The two ids sign the same bytes with the same key.
  auto const signature = to_hex(repository.model.sign(as_bytes("{}")));
  Signed const file{boost::json::object{}, "{}", {{"a", signature}, {"b", signature}}};
  CHECK(verify_threshold(file, set, "m-reader").error().code == "threshold_unmet");
}

TEST_CASE("one key written in two ways counts once") {
  Repository repository;
  auto const once = repository.model.public_key();
  auto twice = once;
  std::transform(twice.value.begin(), twice.value.end(), twice.value.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  Bytes const message{1, 2, 3};
  auto const bytes = repository.model.sign(message);
  Signature const first{"a", Bytes(bytes.begin(), bytes.end())}, second{"b", first.bytes};
  CHECK(verify_signers({{{"a", once}, {"b", twice}}, 2}, {first, second}, message, "role").error().code == "threshold_unmet");
  CHECK(verify_signers({{{"a", once}, {"b", twice}}, 1}, {first, second}, message, "role").has_value());
  CHECK(verify_signers({{{"a", once}, {"b", twice}}, 0}, {first, second}, message, "role").error().code == "threshold_unmet");
}

TEST_CASE("CVE-2025-2885: a root that skips a version is refused") {
  Repository repository;
  Client client(repository);
  repository.root_version = 3;
  repository.publish_root();
  repository.files["2.root.json"] = repository.files.at("3.root.json");
  CHECK(client.refresh(repository) == "rollback");
}

TEST_CASE("a root signed by strangers is refused, an honest rotation is followed") {
  Repository repository;
  Client client(repository);
  auto const honest = repository.root;
  repository.root_version = 2;
  repository.root = SigningKey::generate(repository.random);
  repository.publish_root();
  CHECK(client.refresh(repository) == "threshold_unmet");
  repository.root = honest;
  repository.timestamp = SigningKey::generate(repository.random);
  repository.publish_root();
  repository.publish_online();
  CHECK(client.refresh(repository) == "ok");
}

TEST_CASE("CVE-2025-2886: a terminating delegation ends the search") {
  Repository repository;
  repository.releases.clear();
  auto const other = SigningKey::generate(repository.random);
  repository.delegations.push_back({"m-thief", {{other.public_key()}, 1}, {"models/reader/*/release.json"}, true});
  repository.publish();
  Client client(repository);
  CHECK(client.refresh(repository) == "no target");
}

TEST_CASE("CVE-2025-2887: a delegated role does not go back") {
  Repository repository;
  Client client(repository);
  repository.step();
  CHECK(client.refresh(repository) == "ok");
  repository.model_version = 1;
  ++repository.snapshot_version;
  ++repository.timestamp_version;
  repository.publish();
  CHECK(client.refresh(repository) == "rollback");
}

TEST_CASE("CVE-2025-2888: a timestamp whose snapshot is refused does not block the honest ones after it") {
  Repository repository;
  Client client(repository);
  CHECK(client.refresh(repository) == "ok");
  repository.step();
  auto const honest = repository.files.at("2.snapshot.json");
  repository.files["2.snapshot.json"][40] ^= 1;
  CHECK(client.refresh(repository) != "ok");
  repository.files["2.snapshot.json"] = honest;
  CHECK(client.refresh(repository) == "ok");
}

TEST_CASE("CVE-2026-6967: delegated roles expire") {
  Repository repository;
  repository.model_expires = kNow;
  repository.publish();
  Client client(repository);
  CHECK(client.refresh(repository) == "metadata_expired");
}

TEST_CASE("CVE-2026-6967: length and hash of a delegated role are held where the snapshot names them") {
  Repository const honest;
  auto const& file = honest.files.at("1.m-reader.json");
  auto const digest = crypto::sha256(file).hex();
  struct Row {
    char const* what;
    std::string meta;
    char const* outcome;
  };
  for (auto const& [what, meta, outcome] : std::to_array<Row>({
           {"both right", fmt::format(R"({{"version":1,"length":{},"hashes":{{"sha256":"{}"}}}})", file.size(), digest), "ok"},
           {"longer than named", fmt::format(R"({{"version":1,"length":{}}})", file.size() - 1), "too_large"},
           {"shorter than named", fmt::format(R"({{"version":1,"length":{}}})", file.size() + 1), "length_mismatch"},
           {"another hash", fmt::format(R"({{"version":1,"hashes":{{"sha256":"{}"}}}})", std::string(64, '0')), "digest_mismatch"},
           {"one of two hashes", fmt::format(R"({{"version":1,"hashes":{{"sha256":"{}","sha512":"00"}}}})", digest), "digest_mismatch"},
           {"only a hash unknown here", R"({"version":1,"hashes":{"md5":"00"}})", "digest_mismatch"},
           {"no hash in the set", R"({"version":1,"hashes":{}})", "bad_metadata"},
       })) {
    CAPTURE(what);
    Repository repository;
    repository.files["1.snapshot.json"] = edited(repository.files["1.snapshot.json"], repository.snapshot, "/meta/m-reader.json", meta);
    Client client(repository);
    CHECK(client.refresh(repository) == outcome);
  }
}

TEST_CASE("CVE-2022-29173: what is kept bounds what comes, for each role") {
  struct Row {
    char const* name;
    std::int64_t Repository::*version;
  };
  for (auto const& [name, version] : std::to_array<Row>(
           {{"timestamp", &Repository::timestamp_version}, {"snapshot", &Repository::snapshot_version}, {"targets", &Repository::targets_version}})) {
    CAPTURE(name);
    Repository repository;
    Client client(repository);
    repository.targets_version = 2;
    repository.step();
    CHECK(client.refresh(repository) == "ok");
    if (version != &Repository::timestamp_version) ++repository.timestamp_version;
    if (version == &Repository::targets_version) ++repository.snapshot_version;
    repository.*version = 1;
    repository.publish();
    CHECK(client.refresh(repository) == "rollback");
  }
}

TEST_CASE("a frozen timestamp is found when it expires") {
  Repository repository;
  repository.timestamp_expires = kNow + std::chrono::hours{24};
  repository.publish();
  Client client(repository);
  for (int day = 0; day < 3; ++day) {
    CAPTURE(day);
    CHECK(client.refresh(repository, kNow + std::chrono::hours{20 * day}) == (day < 2 ? "ok" : "metadata_expired"));
  }
}

TEST_CASE("endless data meets a limit") {
  Repository repository;
  Client client(repository);
  repository.files["timestamp.json"].append(100'000, ' ');
  CHECK(client.refresh(repository) == "too_large");
}

TEST_CASE("a length that metadata names does not lift the limit") {
  Repository repository;
  repository.files["timestamp.json"] =
      edited(repository.files["timestamp.json"], repository.timestamp, "/meta/snapshot.json", R"({"version":1,"length":9223372036854775807})");
  Client client(repository);
  CHECK(client.refresh(repository) == "length_mismatch");
  CHECK(repository.most_bytes == Limits{}.snapshot_bytes);
}

TEST_CASE("CVE-2026-23991, CVE-2026-23992: malformed files and thresholds are refused, never fatal") {
  for (auto const& [from, to] : std::to_array<std::pair<std::string, std::string>>({{"\"threshold\":1", "\"threshold\":0"},
                                                                                    {"\"threshold\":1", "\"threshold\":-1"},
                                                                                    {"\"threshold\":1", "\"threshold\":1.5"},
                                                                                    {"\"version\":1", "\"version\":true"},
                                                                                    {"{", "["},
                                                                                    {"\"_type\":\"root\"", "\"_type\":[]"}})) {
    Repository repository;
    Client client(repository);
    auto bad = repository.files.at("1.root.json");
    bad.replace(bad.find(from), from.size(), to);
    repository.files["2.root.json"] = bad;
    CAPTURE(to);
    CHECK(client.refresh(repository) != "ok");
    repository.files.erase("2.root.json");
    CHECK(client.refresh(repository) == "ok");
  }
}

TEST_CASE("SWUpdate 5219f2f4: nothing of a file is read before its signatures are") {
  // Each is wrong in what it says, too: whoever looked there first would name that fault.
  struct Row {
    std::string name;
    std::string_view pointer, value;
  };
  for (auto const& [name, pointer, value] : std::to_array<Row>({
           {"2.root.json", "/roles", "[]"},
           {"timestamp.json", "/meta", "7"},
           {"1.snapshot.json", "/meta", "\"x\""},
           {"1.targets.json", "/delegations", "[]"},
           {"1.m-reader.json", "/targets", "null"},
       })) {
    CAPTURE(name);
    Repository repository;
    auto const stranger = SigningKey::generate(repository.random);
    Client client(repository);
    auto const honest = repository.files.contains(name) ? repository.files.at(name) : repository.files.at("1.root.json");
    repository.files[name] = edited(honest, stranger, pointer, value);
    CHECK(client.refresh(repository) == "threshold_unmet");
  }
}

TEST_CASE("go-tuf 17b4808: a target without hashes is refused") {
  Repository repository;
  repository.releases[0].hashes.clear();
  repository.publish();
  Client client(repository);
  CHECK(client.refresh(repository) == "bad_metadata");
}

TEST_CASE("GHSA-wjw6-2cqr-j4qr, CVE-2026-24686: a role's name cannot leave its folder") {
  Repository repository;
  repository.delegations = {{"../../m-reader", {{repository.model.public_key()}, 1}, {"models/reader/*/release.json"}, true}};
  repository.publish();
  repository.files["1...%2F..%2Fm-reader.json"] = repository.files.at("1.m-reader.json");
  repository.files["1.snapshot.json"] = compose_snapshot(1, kFar, {{"targets.json", {1}}, {"../../m-reader.json", {1}}}, std::array{repository.snapshot});
  Client client(repository);
  CHECK(client.refresh(repository) == "ok");
  for (auto const& [name, bytes] : client.disk.files) CHECK(name.find('/') == std::string::npos);
}

TEST_CASE("a cached delegated role is verified against its current delegator") {
  Repository repository;
  Client client(repository);
  CHECK(client.refresh(repository) == "ok");
  auto const other = SigningKey::generate(repository.random);
  repository.delegations[0].keys.keys = {other.public_key()};
  ++repository.targets_version;
  ++repository.snapshot_version;
  ++repository.timestamp_version;
  repository.publish();
  CHECK(client.refresh(repository) == "threshold_unmet");
}

TEST_CASE("owners who sign a root of directives have not signed one of releases") {
  Repository repository;
  RoleSpec const own{{repository.root.public_key()}, 1};
  RootSpec spec{1, kFar, {{"root", own}, {"targets", own}, {"snapshot", own}, {"timestamp", own}}};
  auto const releases = compose_root(spec, std::array{repository.root});
  spec.version = 2;
  auto const next = compose_root(spec, std::array{repository.root});
  spec.repository = "directive";
  auto const directives = compose_root(spec, std::array{repository.root});
  auto trusted = TrustedSet::create(as_bytes(releases), kNow, {});
  REQUIRE(trusted.has_value());
  CHECK(trusted->update_root(as_bytes(directives)).error().code == "other_repository");
  CHECK(trusted->update_root(as_bytes(next)).has_value());
}
