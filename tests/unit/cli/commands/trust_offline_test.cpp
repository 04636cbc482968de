#include "cli/signing/proposal_text.hpp"
#include "cli/signing/signing_keys.hpp"

#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

namespace fleet::cli {
namespace {

using agent::CrashFs;

TEST_CASE("a key file, plain or sealed, signs; its .pub is the same key") {
  CrashFs fs;
  fs.put("/pass", "a long passphrase\n");
  for (std::string const passphrase : {"", "/pass"}) {
    auto const path = "/k" + std::to_string(passphrase.size());
    auto const made = make_signing_key(fs, system_random(), path, passphrase);
    REQUIRE(made.has_value());
    auto const loaded = load_signing_keys(fs, {path}, passphrase);
    REQUIRE(loaded.has_value());
    CHECK(loaded->front().key_id == crypto::key_id(*made));
    CHECK(*load_public_key(fs, path + ".pub") == *made);
    CHECK(make_signing_key(fs, system_random(), path, passphrase).error().code == "file_exists");
  }
  CHECK(load_signing_keys(fs, {"/k5"}, "").error().code == "passphrase_needed");
  fs.put("/other", "another passphrase");
  CHECK(load_signing_keys(fs, {"/k5"}, "/other").error().code == "wrong_passphrase");
  fs.put("/short", "short");
  CHECK(make_signing_key(fs, system_random(), "/k9", "/short").error().code == "short_passphrase");
}

TEST_CASE("what is no key is refused by name") {
  CrashFs fs;
  fs.put("/pass", "a long passphrase\n");
  for (auto const& text : std::vector<std::string>{"", "zz", "0123", std::string(63, 'a'), std::string(66, 'a')}) {
    fs.put("/bad", text);
    CHECK(load_signing_keys(fs, {"/bad"}, "").error().code == "bad_key_file");
    CHECK(load_public_key(fs, "/bad").error().code == "bad_key_file");
  }
  CHECK(load_signing_keys(fs, {"/none"}, "").error().kind == Kind::not_found);
}

TEST_CASE("a signer reads what changes: keys, thresholds, releases that come and go, and who signed") {
  auto random = SeededRandom(1);
  auto const alice = crypto::SigningKey::generate(random), bob = crypto::SigningKey::generate(random);
  auto const id = [](crypto::SigningKey const& key) { return key.key_id(); };
  auto const until = from_unix_ms(1'800'000'000'000);
  auto const role = [](std::vector<crypto::PublicKey> keys, int threshold) { return trust::RoleSpec{std::move(keys), threshold}; };
  auto const root = [&](std::int64_t version, trust::RoleSpec const& targets) {
    auto const own = role({alice.public_key()}, 1);
    return trust::compose_root({version, until, {{"root", own}, {"targets", targets}, {"snapshot", own}, {"timestamp", own}}}, {});
  };
  auto const target = [](std::string const& path) { return trust::Target{path, 12, {{"sha256", std::string(64, 'a')}}, R"({"hardware":["cam-a"]})"}; };
  auto const list = [&](std::int64_t version, std::vector<trust::Target> const& targets) { return trust::compose_targets(version, until, targets, {}, {}); };
  auto const after = trust::cosign(list(2, {target("models/m/2/release.json")}), std::array{trust::as_signer(bob)});
  REQUIRE(after.has_value());
  auto const text = proposal_text({"targets",
                                   {{"root", root(1, role({alice.public_key()}, 1)), root(2, role({alice.public_key(), bob.public_key()}, 2))},
                                    {"m-m", list(1, {target("models/m/1/release.json")}), *after},
                                    {"m-n", "", list(1, {})},
                                    {"m-o", "", "{}"}}});
  for (auto const& line : std::vector<std::string>{"root: version 1 -> 2, good until 2027-01-15T08:00:00Z", "  - role targets  1 of 1: " + id(alice),
                                                   "  + role targets  2 of 2: ", "  signed by: nobody yet", "  - models/m/1/release.json  12 bytes",
                                                   "  + models/m/2/release.json  12 bytes, sha256 aaaa", "  signed by: " + id(bob), "m-n: version 0 -> 1",
                                                   "  = role snapshot  1 of 1: " + id(alice), "m-o: cannot be read"}) {
    CAPTURE(text);
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
}

TEST_CASE("what a signer is not shown is not signed") {
  auto random = SeededRandom(1);
  auto const alice = crypto::SigningKey::generate(random), bob = crypto::SigningKey::generate(random), mallory = crypto::SigningKey::generate(random);
  auto const until = from_unix_ms(1'800'000'000'000);
  trust::RoleSpec const owners{{alice.public_key(), bob.public_key()}, 1};
  trust::RootSpec spec{2, until, {{"root", owners}, {"targets", owners}, {"snapshot", owners}, {"timestamp", owners}}};
  auto const root = trust::compose_root(spec, {});
  spec.repository = "directive";
  auto const directives = trust::compose_root(spec, {});
  trust::Target const target{"models/m/1/release.json", 12, {{"sha256", std::string(64, 'a')}}, R"({"hardware":["cam-a"],"release_counter":1})"};
  auto const list = trust::compose_targets(2, until, {target}, {}, {});
  auto const delegating = trust::compose_targets(2, until, {}, {{"m-m", owners, {"models/m/*/release.json"}, true}}, {});
  for (auto const& [role, text] :
       std::vector<std::pair<std::string, std::string>>{{"root", root}, {"directive-root", directives}, {"m-m", list}, {"targets", delegating}})
    CHECK(check_readable({role, {{role, "", text}}}).has_value());

  auto const with = [](std::string text, std::string const& old, std::string const& fresh) {
    auto const at = text.find(old);
    REQUIRE(at != std::string::npos);
    return text.replace(at, old.size(), fresh);
  };
  auto const value = [](crypto::SigningKey const& key) { return key.public_key().value; };
  auto const near = bob.key_id().substr(0, 12) + std::string(52, '0');
  std::vector<std::pair<std::string, std::string>> const cases{
      {"root", with(root, value(bob), value(mallory))},                    // mallory's key under bob's id
      {"root", with(with(root, bob.key_id(), near), bob.key_id(), near)},  // an id that begins as bob's
      {"root", with(root, R"("consistent_snapshot":true)", R"("consistent_snapshot":false)")},
      {"root", with(root, R"("version":2)", R"("version":2,"x":1)")},
      {"root", with(root, R"("spec_version":"1)", R"("spec_version":"1.0.)")},
      {"root", directives},
      {"directive-root", root},
      {"m-m", root},
      {"m-m", delegating},
      {"m-n", list},
      {"targets", list},
      {"timestamp", list},
      {"", list},
      {"m-m", with(list, R"("version":2)", R"("delegations":{"keys":{},"roles":[]},"version":2)")},
      {"targets", with(delegating, R"("terminating":true)", R"("terminating":false)")},
      {"targets", with(delegating, R"(models/m/*/release.json)", R"(models/*/*/release.json)")},
      {"targets", with(delegating, R"("threshold":1)", R"("threshold":1,"x":[])")},
      {"targets", with(with(delegating, "\"m-m\"", "\"m-*\""), "models/m/*", "models/*/*")},
      {"targets", with(with(delegating, "\"m-m\"", "\"m-[m]\""), "models/m/*", "models/[m]/*")},
      {"targets", with(with(delegating, "\"m-m\"", "\"m-a\\nb\""), "models/m/*", "models/a\\nb/*")},
      {"m-m", with(list, "models/m/1/release.json", "models/m/1/x/release.json")},
      {"m-m", with(list, "models/m/1/release.json", "models/m/a\\nb/release.json")},
      {"m-*", with(list, "models/m/1/release.json", "models/*/1/release.json")},
      {"m-m", "{}"},
  };
  for (auto const& [role, text] : cases) {
    CAPTURE(role);
    CAPTURE(text);
    CHECK_FALSE(check_readable({role, {{role, "", text}}}).has_value());
  }
}

}  // namespace
}  // namespace fleet::cli
