#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <boost/json/parse.hpp>

using namespace fleet;
using namespace fleet::catalog;
using namespace fleet::catalog::test;

namespace {

namespace json = boost::json;

struct WithSets : Catalog {
  Release post, reader;
  WithSets() {
    for (auto const* const model : {"post", "reader", "gate"}) add_model(model);
    post = add_release("post", "1");
    reader = add_release("reader", "1");
  }
  static std::string set(std::string const& version, std::string const& more = "") {
    return R"({"version":")" + version + R"(","members":[{"model":"post","version":"1","after":["reader"]},{"model":"reader","version":"1"}])" + more + "}";
  }
  json::value shown(Release const& release, std::string_view only = "") { return json::parse(must(release_json(store->reader(), release, only))); }
  json::value family(Release const& release) { return json::parse(must(lineage_json(store->reader(), release, ""))); }
  Result<std::vector<Revoked>> revoke_it(std::string const& model, std::string const& version) {
    return store->write_value<std::vector<Revoked>>(store::Lane::verbs, [&](store::Tx& tx) { return revoke(tx, keys, model, version, {}, by("token:admin")); });
  }
};

}  // namespace

TEST_CASE_FIXTURE(WithSets, "a set is signed in its own model's role with the digests of its members") {
  auto const published = must(publish_body("gate", set("1")));
  auto const document = must(wire::decode_release(published.release.document));
  REQUIRE(document.members.size() == 2);
  CHECK(document.members[0].digest == post.digest);
  CHECK(document.members[1].digest == reader.digest);
  CHECK(must(find("models/gate/1/release.json")).has_value());
  auto const object = shown(published.release);
  CHECK(object.at("members").at(0).at("state") == "approved");
  CHECK(object.at("variants").as_array().empty());
  CHECK(shown(published.release, "gate").at("members").at(0).as_object().if_contains("state") == nullptr);
  CHECK(must(load_model(store->reader(), "gate")).kind == "set");
  CHECK(must(list_models(store->reader(), "", "set", "", 10)).size() == 1);
  CHECK_FALSE(must(publish_body("gate", set("1"))).fresh);
  CHECK(must(check_catalog(store->reader(), *blob_store)).empty());
}

TEST_CASE_FIXTURE(WithSets, "lineage shows members and the sets that have a release") {
  auto const one = must(publish_body("gate", set("1"))).release;
  CHECK(family(one).at("members").as_array().size() == 2);
  CHECK(family(one).at("sets").as_array().empty());
  CHECK(family(reader).at("sets").at(0).at("model") == "gate");
}

TEST_CASE_FIXTURE(WithSets, "members are approved releases of models, for hardware that they share") {
  auto const of = [&](std::string const& members) { return code_of(publish_body("gate", R"({"version":"9","members":[)" + members + "]}")); };
  CHECK(of(R"({"model":"post","version":"2"})") == "unknown_member");
  CHECK(of(R"({"model":"post","version":"1","digest":")" + std::string(64, 'b') + R"("})") == "member_changed");
  add_model("asked", 1);
  add_release("asked", "1");
  CHECK(of(R"({"model":"asked","version":"1"})") == "member_not_approved");
  add_blob("elsewhere");
  must(publish_body("reader", R"({"version":"2","variants":[{"hardware":["cam-b"],"files":[)" + file_json("model.bin", "elsewhere") + "]}]}"));
  CHECK(of(R"({"model":"post","version":"1"},{"model":"reader","version":"2"})") == "no_common_hardware");
  must(publish_body("gate", set("1")));
  add_model("outer");
  CHECK(code_of(publish_body("outer", R"({"version":"1","members":[{"model":"gate","version":"1"}]})")) == "member_is_set");
  must(revoke_it("post", "1"));
  CHECK(code_of(publish_body("gate", set("2"))) == "member_revoked");
}

TEST_CASE_FIXTURE(WithSets, "a model has releases of one kind for ever, and evidence is not a set's") {
  must(publish_body("gate", set("1")));
  add_blob("files");
  CHECK(code_of(publish_body("gate", body("2", "files"))) == "other_kind");
  CHECK(code_of(publish_body("reader", R"({"version":"2","members":[{"model":"post","version":"1"}]})")) == "other_kind");
  CHECK(code_of(publish_body("gate", set("3", R"(,"attestations":["e30="])"))) == "evidence_of_a_set");
}

TEST_CASE_FIXTURE(WithSets, "a draft of a set is not approved once a member is revoked") {
  add_model("careful", 1);
  must(publish_body("careful", set("1")));
  must(revoke_it("reader", "1"));
  auto const approved = store->write_value<Release>(store::Lane::verbs, [&](store::Tx& tx) { return approve(tx, keys, "careful", "1", by("token:boss"), {true}); });
  CHECK(code_of(approved) == "member_revoked");
}

TEST_CASE_FIXTURE(WithSets, "a recall names the rollouts of sets that brought the release, too") {
  auto const gate = must(publish_body("gate", set("1"))).release;
  auto const rolled_out = [&](int n, std::string const& model, std::int64_t release, std::string const& state, std::string const& started) {
    script(fmt::format("INSERT INTO rollouts (n, id, model, release, version, selector, policy, salt, state, started_at, moment, created_by, created_at) "
                       "VALUES ({}, 'r{}', '{}', {}, '1', '', '{{}}', '', '{}', {}, {}, 'token:x', 0)",
                       n, n, model, release, state, started, n));
  };
  rolled_out(1, "reader", reader.n, "completed", "1");
  rolled_out(2, "gate", gate.n, "running", "2");
  rolled_out(3, "gate", gate.n, "draft", "NULL");
  rolled_out(4, "post", post.n, "running", "4");
  auto const revoked = must(store->write_value<std::vector<Revoked>>(
      store::Lane::verbs, [&](store::Tx& tx) { return revoke(tx, keys, "reader", "1", {.recall = true}, by("token:admin")); }));
  auto const told = json::parse(must(revoked_json(store->reader(), revoked)));
  std::string ids;
  for (auto const& rollout : told.at("items").at(0).at("rollouts").as_array())
    ids += std::string(rollout.at("id").as_string()) + " ";
  CHECK(ids == "r2 r1 ");
}
