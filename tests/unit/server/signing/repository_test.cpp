#include "server/signing/trust_status.hpp"
#include "tests/unit/server/catalog/catalog_fixture.hpp"

using namespace fleet;
using namespace fleet::catalog;
using namespace fleet::signing;
using namespace fleet::catalog::test;
using namespace std::chrono_literals;

namespace {

constexpr auto kDayLong = 24h;
std::string const kPath = "models/reader/1.0.0/release.json";

struct WithRelease : Catalog {
  Release release;
  WithRelease() {
    add_model("reader");
    release = add_release("reader", "1.0.0", R"(,"manifest":{"security_floor":1})");
  }
};

}  // namespace

TEST_CASE_FIXTURE(WithRelease, "a client finds a published release by the first root, with what its signature covers") {
  auto const target = must(find(kPath));
  REQUIRE(target.has_value());
  CHECK(must(target->sha256()) == release.digest);
  CHECK(target->length == release.document.size());
  CHECK(target->custom == R"({"hardware":["cam-a"],"release_counter":1,"security_floor":1})");
  CHECK_FALSE(must(find("models/reader/2.0.0/release.json")).has_value());
  CHECK_FALSE(must(find("models/other/1.0.0/release.json")).has_value());
}

TEST_CASE_FIXTURE(WithRelease, "a revoked release is signed no more, and a client that knew it follows") {
  REQUIRE(must(find(kPath)).has_value());
  must(revoke_it("reader", "1.0.0"));
  CHECK_FALSE(must(find(kPath)).has_value());
  CHECK(findings().empty());
}

TEST_CASE_FIXTURE(WithRelease, "metadata stays good for a year of hourly refreshes, and a client that sleeps for weeks follows") {
  CHECK(refresh() == 0);
  for (int day = 0; day < 370; ++day) {
    now += kDayLong;
    refresh();
    if (day % 23 == 0) CHECK(must(find(kPath)).has_value());
  }
  CHECK(std::stoi(version_of("root")) == 3);
  CHECK(findings().empty());
  auto kept = store->reader().prepare({"test.kept", "SELECT count(*) FILTER (WHERE role = 'timestamp'), count(*) FILTER (WHERE role = 'root') FROM metadata WHERE repository = 'release'"});
  REQUIRE(*kept.step());
  CHECK(kept.int64(0) == 100);  // of some seven hundred
  CHECK(kept.int64(1) == 3);
}

TEST_CASE_FIXTURE(WithRelease, "each role is signed again once half of its life is over, not before") {
  struct Case {
    Millis after;
    int signed_again;
    std::string roles;  // timestamp, snapshot, targets, m-reader, root
  };
  for (auto const& [after, signed_again, roles] :
       {Case{11h, 0, "3 3 2 2 1"}, Case{1h, 1, "4 3 2 2 1"}, Case{72h, 2, "5 4 2 2 1"}, Case{183 * kDayLong, 6, "6 5 3 3 2"}}) {
    now += after;
    auto const count = refresh();
    auto const versions =
        version_of("timestamp") + " " + version_of("snapshot") + " " + version_of("targets") + " " + version_of("m-reader") + " " + version_of("root");
    CAPTURE(after.count());
    CHECK(count == signed_again);
    CHECK(versions == roles);
  }
}

TEST_CASE_FIXTURE(WithRelease, "what was signed while the clock was ahead is signed again with the right time") {
  auto const right = now;
  now += 1000 * kDayLong;
  CHECK(refresh() == 6);
  auto const ahead = version_of("timestamp");
  now = right;
  CHECK(refresh() == 6);
  CHECK(version_of("timestamp") != ahead);
  CHECK(refresh() == 0);
  CHECK(must(find(kPath)).has_value());
}

TEST_CASE_FIXTURE(WithRelease, "without a refresh a client refuses to go on past the timestamp's day") {
  now += 25h;
  CHECK(find(kPath).error().kind == Kind::expired);
  refresh();
  CHECK(must(find(kPath)).has_value());
}

TEST_CASE_FIXTURE(WithRelease, "every model has a role of its own") {
  add_model("other.model-2");
  add_release("other.model-2", "1");
  CHECK(must(find("models/other.model-2/1/release.json")).has_value());
  CHECK(must(find(kPath)).has_value());
  CHECK(must(keys.get("m-reader")).public_key() != must(keys.get("m-other.model-2")).public_key());
}

TEST_CASE_FIXTURE(WithRelease, "after a restore a client that saw later versions still follows, with new online keys") {
  REQUIRE(must(find(kPath)).has_value());
  auto const before = must(keys.get("snapshot")).public_key();
  // What the lost server signed after the backup: the client knows it, this database does not.
  auto const rows = "SELECT count(*) FROM metadata WHERE repository = 'release'";
  auto const backup = read(rows);
  script("CREATE TABLE saved AS SELECT * FROM metadata");
  add_model("lost");
  add_release("reader", "9.9.9");
  REQUIRE(must(find("models/reader/9.9.9/release.json")).has_value());
  script(
      "DELETE FROM metadata; INSERT INTO metadata SELECT * FROM saved; DROP TABLE saved; DELETE FROM release_files; DELETE FROM release_hardware; DELETE FROM releases WHERE version = '9.9.9'; DELETE FROM models "
      "WHERE name = 'lost'");
  REQUIRE(read(rows) == backup);

  must(write([&](store::Tx& tx) { return recover_versions(tx, keys, now); }));
  CHECK(must(find(kPath)).has_value());
  CHECK_FALSE(must(find("models/reader/9.9.9/release.json")).has_value());
  CHECK(must(keys.get("snapshot")).public_key() != before);
  CHECK(version_of("root") == "2");  // a root counts by one
  CHECK(std::stoll(version_of("timestamp")) == to_unix_ms(now) / 1000);
  CHECK(findings().empty());
}

TEST_CASE_FIXTURE(WithRelease, "a model whose key lies elsewhere is not signed here, and everything else goes on") {
  std::filesystem::rename(dir + "/keys/m-reader.key", dir + "/offline.key");
  KeyRing restarted(system_fs(), system_random(), dir + "/keys");
  add_blob("two");
  auto const wanted = must(decode_publication("reader", body("2.0.0", "two")));
  auto const draft = must(store->write_value<Published>(store::Lane::verbs, [&](store::Tx& tx) { return publish(tx, restarted, wanted, "{}", by("token:ci")); }));
  CHECK(draft.release.state == "draft");
  CHECK_FALSE(must(find("models/reader/2.0.0/release.json")).has_value());

  // Its keys stay in the targets that are signed for another model, and after half a year for all.
  must(store->write_value<Model>(store::Lane::verbs, [&](store::Tx& tx) { return create_model(tx, restarted, {"other", 0, {}, 0, {}}, by("token:admin")); }));
  CHECK(must(find(kPath)).has_value());
  now += 200 * kDayLong;
  must(store->write_value<int>(store::Lane::verbs, [&](store::Tx& tx) { return refresh_online_roles(tx, restarted, now); }));
  CHECK(must(find(kPath)).has_value());
  must(write([&](store::Tx& tx) { return recover_versions(tx, restarted, now); }));
  CHECK(must(find(kPath)).has_value());
  CHECK_FALSE(std::filesystem::exists(dir + "/keys/m-reader.key"));
}

TEST_CASE_FIXTURE(WithRelease, "root and targets may lie elsewhere: a refresh passes them over and their keys stay") {
  for (auto const* const role : {"root", "targets"}) std::filesystem::rename(dir + "/keys/" + role + ".key", dir + "/" + role + ".key");
  KeyRing restarted(system_fs(), system_random(), dir + "/keys");
  auto const create = [&](store::Tx& tx) { return create_model(tx, restarted, {"other", 0, {}, 0, {}}, by("token:admin")); };
  must(store->write_value<Model>(store::Lane::verbs, create));
  CHECK(read("SELECT count(*) FROM metadata WHERE role = 'm-other'") == "0");  // its keys are for the owners of targets to name
  now += 200 * kDayLong;
  must(store->write_value<int>(store::Lane::verbs, [&](store::Tx& tx) { return refresh_online_roles(tx, restarted, now); }));
  CHECK(must(find(kPath)).has_value());
  CHECK(version_of("root") == "1");
  must(write([&](store::Tx& tx) { return recover_versions(tx, restarted, now); }));
  CHECK(must(find(kPath)).has_value());  // the snapshot's and timestamp's keys could not rotate, so they did not
}

TEST_CASE_FIXTURE(Catalog, "keys are made once, kept for their owner only, and survive a restart") {
  auto const key = must(keys.get("root"));
  CHECK(code_of(keys.get("m-none")) == "key_offline");
  KeyRing again(system_fs(), system_random(), dir + "/keys");
  CHECK(must(again.get_or_create("root")).public_key() == key.public_key());
  CHECK(must(again.replace("snapshot")).public_key() != must(keys.get("snapshot")).public_key());
  namespace fs = std::filesystem;
  for (auto const& entry : fs::directory_iterator(dir + "/keys"))
    CHECK((entry.status().permissions() & fs::perms::all) == (fs::perms::owner_read | fs::perms::owner_write));
  CHECK((fs::status(dir + "/keys").permissions() & (fs::perms::group_all | fs::perms::others_all)) == fs::perms::none);
  must(system_fs().replace(dir + "/keys/m-x.key", "nonsense\n", 0600));
  CHECK(code_of(again.get("m-x")) == "bad_key_file");
}

TEST_CASE_FIXTURE(WithRelease, "a metadata file is found by the name that clients ask for") {
  struct Case {
    std::string name;
    bool there;
  };
  for (auto const& [name, there] : {Case{"1.root.json", true}, Case{"2.root.json", false}, Case{"timestamp.json", true}, Case{"1.timestamp.json", true},
                                    Case{"snapshot.json", false}, Case{"2.targets.json", true}, Case{"02.targets.json", false}, Case{"2.m-reader.json", true},
                                    Case{"-1.root.json", false}, Case{"2targets.json", false}, Case{"99999999999999999999.root.json", false},
                                    Case{".json", false}, Case{"", false}, Case{"1.root.jso", false}, Case{"1.root", false}, Case{"1..json", false}}) {
    CAPTURE(name);
    CHECK(must(find_metadata(store->reader(), "release", name)).has_value() == there);
  }
  CHECK(must(find_metadata(store->reader(), "directive", "1.root.json")).has_value());
  CHECK(must(find_metadata(store->reader(), "directive", "timestamp.json")) == std::nullopt);
}

TEST_CASE_FIXTURE(WithRelease, "a role's key changes and a client follows; what is not committed changes nothing") {
  for (std::string const role : {"m-reader", "targets", "snapshot", "timestamp", "root", "directive-root"}) {
    CAPTURE(role);
    auto const before = must(keys.get(role)).public_key();
    auto const failing = write([&](store::Tx& tx) -> Result<void> {
      FLEET_CHECK(rotate_role(tx, keys, role, now));
      return Error{Kind::conflict, "refused", "refused"};
    });
    CHECK(code_of(failing) == "refused");
    keys.undo_rotation(role);
    CHECK(must(keys.get(role)).public_key() == before);
    CHECK(must(keys_of_role(store->reader(), role)).keys.begin()->second == before);

    must(write([&](store::Tx& tx) { return rotate_role(tx, keys, role, now); }));
    KeyRing restarted(system_fs(), system_random(), dir + "/keys");  // a death before the file took its place
    CHECK(must(restarted.get(role)).public_key() == before);
    must(settle_rotations(store->reader(), restarted));
    auto const after = must(restarted.get(role)).public_key();
    CHECK(after != before);
    CHECK(must(keys_of_role(store->reader(), role)).keys.begin()->second == after);
    CHECK(must(find(kPath)).has_value());
  }
  CHECK(code_of(write([&](store::Tx& tx) { return rotate_role(tx, keys, "m-none", now); })) == "unknown_role");
  CHECK(code_of(write([&](store::Tx& tx) { return rotate_role(tx, keys, "nobody", now); })) == "unknown_role");
  CHECK(findings().empty());
}

TEST_CASE_FIXTURE(WithRelease, "a role above whose key lies elsewhere is not rotated, and nothing is begun") {
  std::filesystem::remove(dir + "/keys/targets.key");
  KeyRing without(system_fs(), system_random(), dir + "/keys");
  CHECK(code_of(write([&](store::Tx& tx) { return rotate_role(tx, without, "m-reader", now); })) == "key_offline");
  CHECK(must(without.open_rotations()).empty());
  auto const roles = must(trust_status(store->reader(), without, now));
  for (auto const& one : roles) CHECK_MESSAGE(one.here == (one.role != "targets"), one.role);
  CHECK(is_managed(roles));
}

TEST_CASE_FIXTURE(WithRelease, "a role that nobody signs again is an event once, before it expires") {
  auto const warn = [&] { must(write([&](store::Tx& tx) { return warn_of_expiry(tx, keys, now); })); };
  warn();
  CHECK(read("SELECT count(*) FROM events WHERE type = 'trust.expiring'") == "0");
  now += std::chrono::hours(19);
  warn();
  warn();
  CHECK(read("SELECT count(*) || max(subject) FROM events WHERE type = 'trust.expiring'") == "1role/timestamp");
}
