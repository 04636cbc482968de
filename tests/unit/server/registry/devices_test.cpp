#include "server/registry/devices.hpp"

#include "core/crypto/hash.hpp"
#include "server/registry/join_tokens.hpp"
#include "server/registry/lifecycle.hpp"
#include "server/registry/queries.hpp"
#include "tests/unit/server/registry/store_fixture.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace fleet::registry {
namespace {

struct Fixture : test::StoreFixture {
  events::Deed deed() { return {clock.wall(), "token:op", "because", "req"}; }
  void add(int i, std::string const& hardware, std::string const& labels, std::string const& state = "active") {
    sql({"test.add", "INSERT INTO devices (id, hardware, state, labels, key_sha256, not_after, created_at) VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)"},
        fmt::format("cam-{}", i), hardware, state, labels, crypto::sha256(std::to_string(i)));
  }
  Device device(std::string const& id) {
    auto loaded = load_device(store->reader(), id);
    REQUIRE(loaded);
    return *loaded;
  }
  std::vector<std::string> ids(DeviceFilter const& filter, int limit = 500) {
    std::vector<std::string> out;
    std::string after;
    do {
      auto const page = list_devices(*store, store->reader(), filter, after, limit, clock.wall());
      REQUIRE_MESSAGE(page, page.error().detail);
      for (auto const& item : page->items) out.push_back(item.substr(7, item.find('"', 7) - 7));
      after = page->next;
    } while (!after.empty());
    return out;
  }
};

DeviceFilter selecting(std::string_view text) {
  DeviceFilter out{kUnlimited};
  out.selectors.push_back(*Selector::parse(text));
  return out;
}

TEST_CASE_FIXTURE(Fixture, "every query of the registry is prepared on the newest schema") {
  for (auto const& query : queries::kAll) {
    CAPTURE(query.name);
    CHECK_NOTHROW((void)store->reader().prepare(query));
  }
}

TEST_CASE_FIXTURE(Fixture, "a list filters by what a device's release was made from, through any number of parents, and ends on a graph in circles") {
  for (int n = 1; n <= 5; ++n) add(n, "cam-a", "{}");
  auto const data = std::string(64, 'd');
  sql({"test.model", "INSERT INTO models (name, created_at) VALUES ('reader', 0), ('other', 0)"});
  for (auto const* const release : {"1", "2", "3", "4", "5"})
    sql({"test.release",
         "INSERT INTO releases (n, model, version, digest, document, request, state, datasets, created_by, created_at) VALUES (?1, iif(?1 = 4, 'other', "
         "'reader'), ?1, CAST('d' || ?1 AS BLOB), '{}', x'00', 'approved', iif(?1 = 2, json_array(json_object('name', 'faces', 'sha256', ?2)), '[]'), 'x', 0)"},
        std::int64_t{std::stoi(release)}, data);
  sql({"test.parents",
       "INSERT INTO release_parents (release, parent, relation) VALUES (2, 1, 'finetune'), (3, 2, 'merge'), (4, 3, 'quantized'), (2, 4, 'merge')"});
  sql({"test.run",
       "INSERT INTO device_models (device, model, running, since) VALUES (1, 'reader', '1', 0), (2, 'reader', '2', 0), (3, 'reader', '5', 0), "
       "(3, 'other', '4', 0), (4, 'reader', '5', 0), (5, 'reader', '4', 0)"});
  auto const made_from = [&](Origin origin) {
    DeviceFilter filter{kUnlimited};
    filter.origin = std::move(origin);
    return ids(filter);
  };
  using Ids = std::vector<std::string>;
  CHECK(made_from({"reader", "1", {}}) == Ids{"cam-1", "cam-2", "cam-3"});
  CHECK(made_from({"reader", "3", {}}) == Ids{"cam-2", "cam-3"});  // round the circle
  CHECK(made_from({"reader", "5", {}}) == Ids{"cam-3", "cam-4"});
  CHECK(made_from({"reader", "9", {}}) == Ids{});
  CHECK(made_from({{}, {}, "faces"}) == Ids{"cam-2", "cam-3"});
  CHECK(made_from({{}, {}, data}) == Ids{"cam-2", "cam-3"});
  CHECK(made_from({{}, {}, "voices"}) == Ids{});
}

TEST_CASE_FIXTURE(Fixture, "a list filters by selector, state, contact and running release") {
  add(1, "cam-a", R"({"region":"eu"})");
  add(2, "cam-b", R"({"region":"eu"})");
  add(3, "cam-a", R"({"region":"us"})", "retired");
  add(4, "cam-a", "{}");
  sql({"test.run", "INSERT INTO device_models (device, model, running, since) VALUES (1, 'reader', '1.0', 0), (2, 'reader', '2.0', 0)"});
  store->note_contact(1, {clock.wall(), 60, 60});
  store->note_contact(2, {clock.wall() - std::chrono::hours(2), 60, 60});
  using Ids = std::vector<std::string>;
  CHECK(ids({kUnlimited}) == Ids{"cam-1", "cam-2", "cam-3", "cam-4"});
  CHECK(ids(selecting("region=eu")) == Ids{"cam-1", "cam-2"});
  CHECK(ids(selecting("region=eu,hardware=cam-a")) == Ids{"cam-1"});
  CHECK(ids(selecting("region!=eu")) == Ids{"cam-3", "cam-4"});
  CHECK(ids(selecting("hardware in (cam-b,cam-c)")) == Ids{"cam-2"});
  CHECK(ids(selecting("running=reader@2.0")) == Ids{"cam-2"});
  CHECK(ids(selecting("running!=reader@2.0,state=active")) == Ids{"cam-1", "cam-4"});
  CHECK(ids(selecting("id=cam-3")) == Ids{"cam-3"});
  CHECK(ids({.limits = kUnlimited, .state = "retired"}) == Ids{"cam-3"});
  CHECK(ids({.limits = kUnlimited, .online = true}) == Ids{"cam-1"});
  CHECK(ids({.limits = kUnlimited, .online = false}) == Ids{"cam-2", "cam-3", "cam-4"});
  CHECK(ids({.limits = kUnlimited, .last_seen_before = clock.wall() - std::chrono::hours(1)}) == Ids{"cam-2", "cam-3", "cam-4"});
  CHECK(list_devices(*store, store->reader(), {kUnlimited}, "nonsense", 10, clock.wall()).error().code == "bad_cursor");
}

TEST_CASE_FIXTURE(Fixture, "a list of more rows than a step of the scan is whole, whatever the page's size") {
  auto const filled = store->write_wait(store::Lane::verbs, [](store::Tx& tx) -> Result<void> {
    for (int i = 0; i < 2'500; ++i) {
      auto add_one = tx.prepare(
          {"test.fill", "INSERT INTO devices (id, hardware, state, labels, key_sha256, not_after, created_at) VALUES (?1, 'h', 'active', ?2, ?3, 0, 0)"});
      add_one.bind_all(fmt::format("d{}", i), i % 10 == 0 ? R"({"tenth":"yes"})" : "{}", crypto::sha256(fmt::format("k{}", i)));
      FLEET_CHECK(add_one.run());
    }
    return {};
  });
  REQUIRE(filled);
  CHECK(ids({kUnlimited}, 100).size() == 2'500);
  CHECK(ids({kUnlimited}, 500).size() == 2'500);
  auto const tenth = ids(selecting("tenth"), 7);
  REQUIRE(tenth.size() == 250);
  CHECK(tenth.front() == "d0");
  CHECK(tenth.back() == "d2490");
  CHECK(ids(selecting("!tenth"), 499).size() == 2'250);
}

TEST_CASE_FIXTURE(Fixture, "a device is online for three of its own poll intervals") {
  add(1, "cam-a", "{}");
  CHECK_FALSE(is_online(*store, device("cam-1"), clock.wall()));
  sql({"test.contact", "INSERT INTO contacts (device, seen_at, poll_every_s, report_every_s) VALUES (1, ?1, 60, 60)"}, to_unix_ms(clock.wall()));
  CHECK(is_online(*store, device("cam-1"), clock.wall() + seconds(180)));
  CHECK_FALSE(is_online(*store, device("cam-1"), clock.wall() + seconds(181)));
}

TEST_CASE_FIXTURE(Fixture, "the object of a device tells what it runs and what it works on") {
  add(1, "cam-a", R"({"region":"eu"})");
  sql({"test.models",
       "INSERT INTO device_models (device, model, running, running_digest, version, state, rollout, since, error) VALUES "
       "(1, 'a', '1.0', x'01', '1.0', 'committed', NULL, 1000, NULL), (1, 'b', NULL, x'02', NULL, 'idle', NULL, 0, NULL), "
       "(1, 'c', NULL, NULL, '3', 'failed', 'ro-1', 5000, '{\"code\":\"golden_mismatch\",\"text\":\"t\",\"output\":\"\"}')"});
  auto const text = device_json(*store, store->reader(), device("cam-1"), kUnlimited, clock.wall());
  REQUIRE(text);
  CHECK(text->find(R"("running":{"a":"1.0","b":null})") != std::string::npos);
  CHECK(
      text->find(R"("update":{"model":"c","version":"3","state":"failed","rollout":"ro-1","since":"1970-01-01T00:00:05Z","error":{"code":"golden_mismatch")") !=
      std::string::npos);
  CHECK(text->find(R"("last_seen":null)") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "labels are merged, null removes, and the device decides anew") {
  add(1, "cam-a", R"({"region":"eu","gone":"x"})");
  auto const epoch = store->epochs().device(1);
  auto const patch = decode_label_patch(R"({"labels":{"region":"us","gone":null,"new":"1"}})");
  REQUIRE(patch);
  auto const changed = store->write_value<Device>(store::Lane::verbs, [&](store::Tx& tx) { return patch_labels(tx, device("cam-1"), *patch, deed()); });
  REQUIRE(changed);
  CHECK(changed->labels == wire::Labels{{"region", "us"}, {"new", "1"}});
  CHECK(changed->revision == 2);
  CHECK(store->epochs().device(1) != epoch);
  CHECK(text({"test.audit", "SELECT before FROM audit WHERE action = 'device.labelled'"}) == R"({"gone":"x","region":"eu"})");
  auto const same = store->write_value<Device>(store::Lane::verbs, [&](store::Tx& tx) { return patch_labels(tx, *changed, *patch, deed()); });
  CHECK_MESSAGE(same->revision == 2, "nothing changed");
}

TEST_CASE_FIXTURE(Fixture, "labels that cannot be are refused") {
  for (auto const* body : {R"({})", R"({"labels":[]})", R"({"labels":{"a":1}})", R"({"labels":{},"state":"active"})", "[]", "{"}) {
    CAPTURE(body);
    CHECK_FALSE(decode_label_patch(body));
  }
  for (auto const& [key, value] :
       wire::Labels{{"hardware", "x"}, {"running", "x"}, {"a b", "x"}, {"", "x"}, {"a", std::string(257, 'x')}, {"b", "line\nbreak"}}) {
    CAPTURE(key);
    CHECK_FALSE(check_labels({{key, value}}));
  }
  wire::Labels many;
  for (int i = 0; i < 65; ++i) many.emplace(fmt::format("l{}", i), "x");
  CHECK_FALSE(check_labels(many));
}

TEST_CASE_FIXTURE(Fixture, "a history is listed newest first, page by page") {
  add(1, "cam-a", "{}");
  for (int i = 0; i < 5; ++i) {
    sql({"test.history", "INSERT INTO device_history (device, time, received, model, version, state, attempt) VALUES (1, 0, 0, 'm', ?1, 'committed', 1)"},
        std::to_string(i));
  }
  auto const first = list_history(store->reader(), 1, kUnlimited, "", 3);
  REQUIRE(first);
  REQUIRE(first->items.size() == 3);
  CHECK(first->items[0].find(R"("version":"4")") != std::string::npos);
  auto const second = list_history(store->reader(), 1, kUnlimited, first->next, 3);
  REQUIRE(second->items.size() == 2);
  CHECK(second->next.empty());
  CHECK_FALSE(list_history(store->reader(), 1, kUnlimited, "x", 3));
}

TEST_CASE_FIXTURE(Fixture, "a wrong request for join tokens is refused") {
  for (auto const* body : {R"({"count":0})", R"({"count":1001})", R"({"id":"a","count":2})", R"({"expires_in":"0s"})", R"({"expires_in":"500d"})",
                           R"({"hardware":"a b"})", R"({"labels":{"id":"x"}})", R"({"nonsense":1})", R"({"expires_in":"soon"})"}) {
    CAPTURE(body);
    CHECK_FALSE(decode_join_token_spec(body));
  }
  auto const plain = decode_join_token_spec("");
  REQUIRE(plain);
  CHECK(plain->count == 1);
  CHECK(plain->expires_in == std::chrono::hours(24));
}

}  // namespace
}  // namespace fleet::registry
