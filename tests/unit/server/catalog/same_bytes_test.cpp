#include "server/catalog/same_bytes.hpp"

#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <doctest/doctest.h>

namespace fleet::catalog {
namespace {

using test::must;

struct SameBytes : test::Catalog {
  SameBytes() {
    add_model("reader");
    add_model("other");
    for (auto const* content : {"weights that went wrong", "other weights, larger than what is shared", "check", "tokens", ""}) add_blob(content);
  }
  /// A publication of files, each a name and a content; `check.sh` is what the health check runs.
  static std::string files(std::string const& version, std::vector<std::pair<std::string, std::string>> const& all, std::string const& more = "") {
    std::string list, manifest;
    for (auto const& [name, content] : all) {
      list += (list.empty() ? "" : ",") + file_json(name, content, name == "check.sh");
      if (name == "check.sh") manifest = R"(,"manifest":{"health":[{"exec":["check.sh"]}]})";
    }
    return fmt::format(R"({{"version":"{}","variants":[{{"hardware":["cam-a"],"files":[{}]}}]{}{}}})", version, list, manifest, more);
  }
  std::string state(std::string const& model, std::string const& version) { return must(load_release(store->reader(), model, version)).state; }
  std::string outcome(std::string const& model, std::string const& body, Authority const& authority = {}) {
    auto const wanted = must(decode_publication(model, body));
    auto const done = store->write_value<Published>(store::Lane::verbs, [&](store::Tx& tx) { return publish(tx, keys, wanted, "{}", by("token:ci"), authority); });
    return done ? done->release.state : done.error().code;
  }
  Result<std::vector<Revoked>> revoke_with(std::string const& version, Revocation const& how) {
    return store->write_value<std::vector<Revoked>>(store::Lane::verbs, [&](store::Tx& tx) { return revoke(tx, keys, "reader", version, how, by("token:admin")); });
  }
  std::string const bad = "weights that went wrong", good = "other weights, larger than what is shared";
};

TEST_CASE_FIXTURE(SameBytes, "what was revoked is not published again under another name, version, model or among other files; a fix is") {
  REQUIRE(outcome("reader", files("1", {{"model.bin", bad}, {"tokens", "tokens"}, {"check.sh", "check"}, {"empty", ""}})) == "approved");
  must(revoke_with("1", {}));
  CHECK(outcome("reader", files("2", {{"model.bin", bad}, {"tokens", "tokens"}, {"check.sh", "check"}})) == "revoked_bytes");
  CHECK(outcome("reader", files("2", {{"weights", bad}})) == "revoked_bytes");
  CHECK(outcome("other", files("1", {{"x/y", bad}})) == "revoked_bytes");
  CHECK(outcome("other", files("1", {{"a", bad}, {"tokens", "tokens"}, {"b", good}})) == "revoked_bytes");  // all of it, and more
  CHECK(outcome("reader", files("2", {{"model.bin", good}, {"tokens", "tokens"}, {"check.sh", "check"}, {"empty", ""}})) == "approved");
  CHECK(outcome("reader", files("3", {{"model.bin", bad}})) == "revoked_bytes");
  CHECK(outcome("reader", files("3", {{"model.bin", bad}}, R"(,"reason":"it was the labels")")) == "revoked_bytes");
  CHECK(outcome("reader", files("3", {{"model.bin", bad}}), {.administers = true}) == "revoked_bytes");
  CHECK(outcome("reader", files("3", {{"model.bin", bad}}, R"(,"reason":"it was the labels")"), {.administers = true}) == "approved");
  CHECK(read("SELECT reason FROM audit WHERE subject = 'release/reader@3'") == "it was the labels");
}

TEST_CASE_FIXTURE(SameBytes, "a draft of revoked bytes is approved by an administrator alone; another model is not named to who must not see it") {
  add_model("slow", 1);
  REQUIRE(outcome("slow", files("1", {{"model.bin", bad}})) == "draft");
  REQUIRE(outcome("reader", files("1", {{"model.bin", bad}})) == "approved");
  must(revoke_with("1", {}));
  auto const approve_as = [&](Authority const& authority) {
    return store->write_value<Release>(store::Lane::verbs, [&](store::Tx& tx) { return approve(tx, keys, "slow", "1", by("token:ann"), authority); });
  };
  auto const refused = approve_as({.model = "slow"});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == "revoked_bytes");
  CHECK(refused.error().detail.find("reader") == std::string::npos);
  CHECK(approve_as({}).error().detail.find("reader@1") != std::string::npos);
  CHECK(must(approve_as({.administers = true})).state == "approved");
}

TEST_CASE_FIXTURE(SameBytes, "approved releases of the same bytes go with the one that is revoked, but what an administrator keeps; what only shares files stays") {
  REQUIRE(outcome("reader", files("1", {{"model.bin", good}, {"tokens", "tokens"}, {"check.sh", "check"}})) == "approved");
  REQUIRE(outcome("reader", files("2", {{"model.bin", bad}, {"tokens", "tokens"}, {"check.sh", "check"}})) == "approved");
  REQUIRE(outcome("other", files("1", {{"m", bad}, {"t", "tokens"}})) == "approved");
  REQUIRE(outcome("reader", files("3", {{"model.bin", bad}, {"tokens", "tokens"}})) == "approved");
  auto const gone = must(revoke_with("2", {.keep = {"reader@3"}}));
  REQUIRE(gone.size() == 2);
  CHECK(gone[0].release.version == "2");
  CHECK(gone[1].was == "approved");
  CHECK(state("other", "1") == "revoked");
  CHECK(state("reader", "1") == "approved");
  CHECK(state("reader", "3") == "approved");
  CHECK(read("SELECT reason FROM audit WHERE subject = 'release/other@1' AND action = 'release.revoked'") == "has the bytes of reader@2, which was revoked: because");
  must(revoke_with("2", {}));
  CHECK(state("reader", "3") == "approved");  // said again, it takes nothing more
}

TEST_CASE_FIXTURE(SameBytes, "a revocation for one model reaches no other") {
  REQUIRE(outcome("reader", files("1", {{"model.bin", bad}})) == "approved");
  REQUIRE(outcome("other", files("1", {{"model.bin", bad}})) == "approved");
  must(revoke_with("1", {.only_model = "reader"}));
  CHECK(state("other", "1") == "approved");
}

}  // namespace
}  // namespace fleet::catalog
