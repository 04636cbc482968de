#include "tests/support/source_dir.hpp"
#include "tests/unit/server/catalog/catalog_fixture.hpp"

#include <boost/json/parse.hpp>

using namespace fleet;
using namespace fleet::blobs;
using namespace fleet::catalog;
using namespace fleet::signing;
using namespace fleet::catalog::test;

namespace {

namespace json = boost::json;

struct WithModel : Catalog {
  WithModel() { add_model("reader"); }
  json::value shown(Release const& release) { return json::parse(must(release_json(store->reader(), release, ""))); }
  Release load(std::string const& version) { return must(load_release(store->reader(), "reader", version)); }
};

std::string pointers(Error const& error) {
  std::string out;
  for (auto const& field : error.errors) out += field.pointer + " ";
  return out;
}

}  // namespace

TEST_CASE_FIXTURE(WithModel, "a publication becomes release.json, a row, an entry of the log and a signed target") {
  add_blob("weights");
  auto const policy = store->epochs().policy();
  auto const published = must(publish_body(
      "reader", body("1.0.0", "weights",
                     R"(,"metrics":{"accuracy":0.97},"datasets":[{"name":"digits","sha256":")" + crypto::sha256("data").hex() + R"("}],"commit":"abc123")")));
  CHECK(published.fresh);
  auto const& release = published.release;
  CHECK(release.state == "approved");
  CHECK(release.digest == crypto::sha256(release.document));
  CHECK(must(wire::decode_release(release.document)).release_counter == 1);
  CHECK(must(find("models/reader/1.0.0/release.json")).has_value());
  CHECK(store->epochs().policy() > policy);
  CHECK(read("SELECT actor || ' ' || action || ' ' || subject || ' ' || reason FROM audit ORDER BY seq DESC LIMIT 1") ==
        "token:ci release.published release/reader@1.0.0 because");
  auto const object = shown(load("1.0.0"));
  CHECK(object.at("model") == "reader");
  CHECK(object.at("state") == "approved");
  CHECK(object.at("commit") == "abc123");
  CHECK(object.at("metrics").at("accuracy") == 0.97);
  CHECK(object.at("datasets").at(0).at("name") == "digits");
  CHECK(object.at("variants").at(0).at("files").at(0).at("size") == 7);
  CHECK(object.at("created_by") == "token:ci");
  CHECK(object.at("created_at") == "2026-11-20T10:00:00Z");
  CHECK(object.at("digest").as_string() == release.digest.hex());
}

TEST_CASE_FIXTURE(WithModel, "the same again is no change, the same version with other content is refused") {
  auto const first = add_release("reader", "1.0.0");
  auto const again = must(publish_body("reader", body("1.0.0", "reader1.0.0"), "token:other"));
  CHECK_FALSE(again.fresh);
  CHECK(again.release.n == first.n);
  CHECK(again.release.created_by == "token:ci");
  add_blob("other");
  CHECK(code_of(publish_body("reader", body("1.0.0", "other"))) == "release_exists");
  CHECK(code_of(publish_body("reader", body("1.0.0", "reader1.0.0", R"(,"commit":"x")"))) == "release_exists");
  CHECK(read("SELECT count(*) FROM releases") == "1");
  CHECK(must(wire::decode_release(add_release("reader", "1.0.1").document)).release_counter == 2);  // refused ones took no counter
}

TEST_CASE("a body is refused with every wrong place") {
  struct Case {
    std::string what, body, says;
  };
  auto const file = Catalog::file_json("model.bin", "x");
  auto const variants = R"("variants":[{"hardware":["a"],"files":[)" + file + "]}]";
  auto const with = [&](std::string const& more) { return R"({"version":"1",)" + variants + "," + more + "}"; };
  for (auto const& [what, body, says] : std::vector<Case>{
           {"no JSON", "{", "not JSON"},
           {"nothing", "{}", "/version /variants "},
           {"an unknown member", with(R"("colour":"red")"), "/colour "},
           {"a reserved version", R"({"version":"latest",)" + variants + "}", "/version "},
           {"an unsafe path", R"({"version":"1","variants":[{"hardware":["a"],"files":[)" + Catalog::file_json("../x", "x") + "]}]}",
            "/variants/0/files/0/name "},
           {"an absolute path", R"({"version":"1","variants":[{"hardware":["a"],"files":[)" + Catalog::file_json("/etc/x", "x") + "]}]}",
            "/variants/0/files/0/name "},
           {"a file twice", R"({"version":"1","variants":[{"hardware":["a"],"files":[)" + file + "," + file + "]}]}", "/variants/0/files "},
           {"no files", R"({"version":"1","variants":[{"hardware":["a"],"files":[]}]})", "/variants/0/files "},
           {"a hardware twice", R"({"version":"1","variants":[{"hardware":["a"],"files":[)" + file + R"(]},{"hardware":["a"],"files":[)" + file + "]}]}",
            "/variants/1/hardware "},
           {"an unknown relation", with(R"("parents":[{"model":"m","version":"1","relation":"cousin"}])"), "/parents/0/relation "},
           {"a parent twice", with(R"("parents":[{"model":"m","version":"1","relation":"merge"},{"model":"m","version":"1","relation":"merge"}])"),
            "/parents/1/version "},
           {"a parent with more", with(R"("parents":[{"model":"m","version":"1","relation":"merge","since":1}])"), "/parents/0/since "},
           {"a digest of a data set", with(R"("datasets":[{"name":"d","sha256":"XY"}])"), "/datasets/0/sha256 "},
           {"metrics that are no numbers", with(R"("metrics":{"accuracy":"good"})"), "/metrics "},
           {"a manifest with an unknown key", with(R"("manifest":{"goldn":{}})"), "/goldn "},
           {"a golden file that is not there", with(R"("manifest":{"golden":{"command":["run"],"expect":"out.csv"}})"), "/variants/0/files "},
           {"a command that is no file", with(R"("manifest":{"activate":{"exec":["bin/reload"]}})"), "/manifest/activate/exec/0 "},
           {"a command that is not executable", with(R"("manifest":{"health":[{"exec":["model.bin"]}]})"), "/manifest/health/0/exec/0 "},
           {"a command of one variant only",
            R"({"version":"1","variants":[{"hardware":["a"],"files":[)" + Catalog::file_json("run", "x", true) + R"(]},{"hardware":["b"],"files":[)" + file +
                R"(]}],"manifest":{"activate":{"exec":["run"]}}})",
            "/manifest/activate/exec/0 "},
       }) {
    CAPTURE(what);
    auto const decoded = decode_publication("reader", body);
    REQUIRE_FALSE(decoded.has_value());
    CHECK(decoded.error().kind == Kind::bad_input);
    auto const where = pointers(decoded.error());
    CHECK_MESSAGE((where + decoded.error().detail).find(says) != std::string::npos, where << decoded.error().detail);
  }
}

TEST_CASE("a command may be a file of every variant, or a program of the device's owner") {
  for (auto const* const word : {"run", "reader"}) {
    auto const files = Catalog::file_json("run", "x", true) + "," + Catalog::file_json("out.csv", "y");
    auto const decoded =
        decode_publication("reader", fmt::format(R"({{"version":"1","variants":[{{"hardware":["a"],"files":[{0}]}},{{"hardware":["b"],"files":[{0}]}}],)"
                                                 R"("manifest":{{"golden":{{"command":["{1}"],"expect":"out.csv"}},"activate":{{"exec":["{1}"]}}}}}})",
                                                 files, word));
    CHECK_MESSAGE(decoded.has_value(), pointers(decoded ? Error{} : decoded.error()));
  }
}

TEST_CASE_FIXTURE(WithModel, "files must be there as they are announced, and be what they are named") {
  CHECK(code_of(publish_body("reader", body("1", "never uploaded"))) == "unknown_blob");
  auto const digest = add_blob("12345");
  auto const wrong_size = fmt::format(R"({{"version":"1","variants":[{{"hardware":["a"],"files":[{{"name":"m","size":6,"sha256":"{}"}}]}}]}})", digest.hex());
  CHECK(code_of(publish_body("reader", wrong_size)) == "size_mismatch");

  auto const split = R"({"version":"1","variants":[{"hardware":["a"],"files":[)" + Catalog::file_json("m-00001-of-00002.gguf", "12345") + "]}]}";
  CHECK(code_of(publish_body("reader", split)) == "missing_file");
  auto const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + digest.hex() + "\nsize 5\n";
  add_blob(pointer);
  CHECK(code_of(publish_body("reader", R"({"version":"1","variants":[{"hardware":["a"],"files":[)" + Catalog::file_json("m.bin", pointer) + "]}]}")) == "stand_in");

  auto const named = [](std::string const& content) {
    return R"({"version":"1","variants":[{"hardware":["a"],"files":[)" + Catalog::file_json("model.onnx", content) + "]}]}";
  };
  add_blob("no model");
  auto const refused = publish_body("reader", named("no model"));
  REQUIRE(code_of(refused) == "not_onnx");
  CHECK(refused.error().detail.find("variant a: file 'model.onnx'") != std::string::npos);

  auto const onnx = must(system_fs().read(fleet::test::source_dir() + "/tests/unit/core/inspect/onnx/dense.onnx", 10'000));
  add_blob(onnx);
  auto const published = must(publish_body("reader", named(onnx)));
  auto const seen = shown(published.release).at("inspection").at(crypto::sha256(onnx).hex());
  CHECK(seen.at("inputs").at(0).at("name") == "x");
  CHECK(read("SELECT count(*) FROM releases") == "1");
}

TEST_CASE_FIXTURE(WithModel, "a release of a model that asks for approvals is signed with the last of them") {
  add_model("strict", 2);
  auto const path = "models/strict/1/release.json";
  auto const draft = add_release("strict", "1");
  CHECK(draft.state == "draft");
  CHECK_FALSE(must(find(path)).has_value());
  CHECK(code_of(approve_by("token:ci", "strict", "1")) == "own_release");
  CHECK(must(approve_by("token:ann", "strict", "1")).state == "draft");
  auto const once = must(load_release(store->reader(), "strict", "1"));
  auto const again = must(approve_by("token:ann", "strict", "1"));  // the same person again counts once and changes nothing
  CHECK(again.state == "draft");
  CHECK(again.revision == once.revision);
  CHECK_FALSE(must(find(path)).has_value());
  CHECK(must(approve_by("token:bob", "strict", "1")).state == "approved");
  CHECK(must(find(path)).has_value());
  CHECK(must(approve_by("token:eve", "strict", "1")).state == "approved");
  CHECK(read("SELECT count(*) FROM audit WHERE action = 'release.approved'") == "2");
}

TEST_CASE_FIXTURE(WithModel, "a revoked release stays revoked") {
  add_release("reader", "1");
  auto const policy = store->epochs().policy();
  CHECK(must(revoke_it("reader", "1")).state == "revoked");
  CHECK(store->epochs().policy() > policy);
  CHECK(must(revoke_it("reader", "1")).state == "revoked");
  CHECK(read("SELECT count(*) FROM audit WHERE action = 'release.revoked'") == "1");
  CHECK(code_of(approve_by("token:ann", "reader", "1")) == "revoked");
  CHECK(code_of(revoke_it("reader", "2")) == "unknown_release");
  CHECK(code_of(revoke_it("none", "1")) == "unknown_model");
}

TEST_CASE_FIXTURE(WithModel, "lineage closes: every parent is known and stands") {
  auto const parent = [](std::string const& model, std::string const& version, std::string const& relation) {
    return R"(,"parents":[{"model":")" + model + R"(","version":")" + version + R"(","relation":")" + relation + R"("}])";
  };
  add_model("base");
  add_release("base", "1");
  add_release("reader", "1", parent("base", "1", "finetune"));
  add_release("reader", "2", parent("reader", "1", "quantized"));
  add_release("reader", "3", R"(,"parents":[{"model":"reader","version":"1","relation":"merge"},{"model":"reader","version":"2","relation":"merge"}])");
  add_blob("x");
  CHECK(code_of(publish_body("reader", body("4", "x", parent("reader", "9", "merge")))) == "unknown_parent");
  CHECK(code_of(publish_body("reader", body("4", "x", parent("reader", "4", "merge")))) == "unknown_parent");
  must(revoke_it("reader", "2"));
  CHECK(code_of(publish_body("reader", body("4", "x", parent("reader", "2", "merge")))) == "parent_revoked");
  CHECK(read("SELECT count(*) FROM releases WHERE model = 'reader'") == "3");

  auto const lineage = json::parse(must(lineage_json(store->reader(), load("3"), "")));
  CHECK(lineage.at("release") == "reader@3");
  CHECK(lineage.at("descendants").as_array().empty());
  std::string edges;
  for (auto const& edge : lineage.at("ancestors").as_array())
    edges += fmt::format("{}@{} {} {}; ", edge.at("model").as_string().c_str(), edge.at("version").as_string().c_str(), edge.at("relation").as_string().c_str(),
                         edge.at("of").as_string().c_str());
  CHECK(edges == "reader@2 merge reader@3; reader@1 merge reader@3; reader@1 quantized reader@2; base@1 finetune reader@1; ");
  auto const below = json::parse(must(lineage_json(store->reader(), must(load_release(store->reader(), "base", "1")), "")));
  CHECK(below.at("descendants").as_array().size() == 4);
}

TEST_CASE_FIXTURE(WithModel, "a recall takes the whole family at once, each with its reason, and each model is signed once") {
  auto const parent = [](std::string const& model, std::string const& version) {
    return R"(,"parents":[{"model":")" + model + R"(","version":")" + version + R"(","relation":"finetune"}])";
  };
  add_model("other");
  add_release("reader", "1");
  add_release("reader", "2", parent("reader", "1"));
  add_release("reader", "3", R"(,"parents":[{"model":"reader","version":"1","relation":"merge"},{"model":"reader","version":"2","relation":"merge"}])");
  add_release("other", "1", parent("reader", "3"));
  add_release("reader", "sound");
  script(
      "INSERT INTO devices (n, id, hardware, state, key_sha256, not_after, created_at) VALUES (1, 'd', 'cam-a', 'active', zeroblob(32), 0, 0); "
      "INSERT INTO device_models (device, model, running, since) VALUES (1, 'reader', '3', 0)");
  auto const reader_before = std::stoi(version_of("m-reader")), snapshots = std::stoi(version_of("snapshot"));
  auto const recall_it = [&] {
    auto const revoked = must(store->write_value<std::vector<Revoked>>(
        store::Lane::verbs, [&](store::Tx& tx) { return revoke(tx, keys, "reader", "1", {.recall = true}, by("token:admin")); }));
    return json::parse(must(revoked_json(store->reader(), revoked)))
        .at("items")
        .as_array();
  };
  auto const items = recall_it();
  REQUIRE(items.size() == 4);
  CHECK(items[0].at("version") == "1");
  CHECK(items[2].at("version") == "3");
  CHECK(items[2].at("devices") == 1);
  CHECK(items[2].at("was") == "approved");
  CHECK(read("SELECT count(*) FROM releases WHERE state = 'revoked'") == "4");
  CHECK(load("sound").state == "approved");
  CHECK(std::stoi(version_of("m-reader")) == reader_before + 1);
  CHECK(std::stoi(version_of("snapshot")) == snapshots + 2);  // one a model
  CHECK(read("SELECT count(*) FROM audit WHERE action = 'release.revoked' AND reason LIKE 'made from reader@1, which was recalled:%'") == "3");
  CHECK(recall_it().size() == 4);
  CHECK(read("SELECT count(*) FROM audit WHERE action = 'release.revoked'") == "4");
}

TEST_CASE_FIXTURE(WithModel, "releases are listed newest first, by page, state and publisher") {
  for (auto const* const version : {"1", "2", "3"}) add_release("reader", version);
  add_blob("four");
  must(publish_body("reader", body("4", "four"), "token:other"));
  must(revoke_it("reader", "2"));
  auto const versions = [&](std::int64_t before, std::string const& state, std::string const& by, int limit) {
    std::string out;
    for (auto const& release : must(list_releases(store->reader(), "reader", before, state, by, limit))) out += release.version;
    return out;
  };
  constexpr auto kAll = std::numeric_limits<std::int64_t>::max();
  CHECK(versions(kAll, "", "", 10) == "4321");
  CHECK(versions(kAll, "", "", 2) == "43");
  CHECK(versions(load("3").n, "", "", 10) == "21");
  CHECK(versions(kAll, "revoked", "", 10) == "2");
  CHECK(versions(kAll, "approved", "token:ci", 10) == "31");
  CHECK(code_of(list_releases(store->reader(), "none", kAll, "", "", 1)) == "unknown_model");
}

TEST_CASE_FIXTURE(WithModel, "a publication that fails late leaves nothing behind") {
  add_blob("x");
  auto const wanted = must(decode_publication("reader", body("1", "x")));
  auto const failing = write([&](store::Tx& tx) -> Result<void> {
    FLEET_CHECK(publish(tx, keys, wanted, "{}", by("token:ci")));
    return Error{Kind::internal, "late", "late"};
  });
  CHECK(code_of(failing) == "late");
  CHECK(read("SELECT (SELECT count(*) FROM releases) || ' ' || (SELECT release_counter FROM models)") == "0 0");
  CHECK(version_of("m-reader") == "1");
  CHECK(must(publish_body("reader", body("1", "x"))).fresh);
}

TEST_CASE_FIXTURE(WithModel, "a security floor above the counter that the release gets is refused, and takes no counter") {
  add_release("reader", "1");
  add_blob("x");
  auto const floor = [](int at) { return R"(,"manifest":{"security_floor":)" + std::to_string(at) + "}"; };
  CHECK(code_of(publish_body("reader", body("2", "x", floor(3)))) == "floor_above_counter");
  CHECK(must(wire::decode_release(must(publish_body("reader", body("2", "x", floor(2)))).release.document)).release_counter == 2);
}

TEST_CASE_FIXTURE(Catalog, "models are made once and changed with their aliases") {
  add_model("reader");
  auto const create = [&](std::string const& name) {
    return store->write_value<Model>(store::Lane::verbs, [&](store::Tx& tx) { return create_model(tx, keys, {name, 0, {}, 0, {}}, by("token:admin")); });
  };
  CHECK(code_of(create("reader")) == "model_exists");
  for (auto const* const name : {"", "Reader", "a/b", "../x", ".x"}) CHECK_FALSE(create(name).has_value());
  add_release("reader", "1");
  auto const change = [&](int approvals, wire::Labels const& aliases) {
    return store->write_value<Model>(store::Lane::verbs, [&](store::Tx& tx) { return change_model(tx, {"reader", approvals, aliases, 0, {}}, by("token:admin")); });
  };
  auto const changed = must(change(1, {{"stable", "1"}}));
  CHECK(changed.revision == 2);
  CHECK(model_json(changed) ==
        R"({"name":"reader","approvals_required":1,"aliases":{"stable":"1"},"created_at":"2026-11-20T10:00:00Z","standing":[],"signers":{},"demands":[],"protected":null,"kind":"model"})");
  CHECK(must(change(1, {{"stable", "1"}})).revision == 2);  // nothing changed
  CHECK(code_of(change(1, {{"stable", "9"}})) == "unknown_release");
  CHECK(code_of(change(1, {{"1", "1"}})) == "alias_is_version");
  for (auto const* const name : {"latest", "a b", ".x"}) CHECK(code_of(change(1, {{name, "1"}})) == "bad_name");
  CHECK(must(change(1, {{"stable", "1"}, {"newest", "stable"}})).aliases.at("newest") == "1");  // kept as the version
  CHECK(must(load_release(store->reader(), "reader", "newest")).version == "1");
  CHECK(must(load_release(store->reader(), "reader", "latest")).version == "1");
  add_model("another");
  CHECK(must(list_models(store->reader(), "", "", "", 10)).size() == 2);
  CHECK(must(list_models(store->reader(), "", "", "another", 10)).front().name == "reader");
}

TEST_CASE_FIXTURE(WithModel, "a metric beyond a double is refused, and one that an older server let in spoils no release") {
  add_blob("weights");
  for (auto const* const number : {"1e999", "-1e309"}) {
    auto const refused = publish_body("reader", body("1.0.0", "weights", std::string(R"(,"metrics":{"accuracy":)") + number + "}"));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().kind == Kind::bad_input);
  }
  must(publish_body("reader", body("1.0.0", "weights", R"(,"metrics":{"accuracy":0.97})")));
  script(R"(UPDATE releases SET metrics = '{"accuracy":Infinity}')");
  CHECK(shown(load("1.0.0")).at("metrics").as_object().empty());
}
