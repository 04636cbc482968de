#include "server/registry/groups.hpp"

#include "core/crypto/hash.hpp"
#include "server/registry/device_facts.hpp"
#include "tests/unit/server/registry/store_fixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace fleet::registry {
namespace {

using test::StoreFixture;

struct Groups : StoreFixture {
  Groups() {
    for (auto const& [id, site] : {std::pair{"a", "1"}, std::pair{"b", "1"}, std::pair{"c", "2"}}) {
      sql({"test.device", "INSERT INTO devices (id, hardware, state, labels, key_sha256, not_after, created_at) VALUES (?1, 'cam-a', 'active', ?2, ?3, 0, 0)"}, id,
          fmt::format(R"({{"site":"{}"}})", site), crypto::sha256(id));
    }
  }
  events::Deed deed() { return {clock.wall(), "token:ops", {}, "req"}; }
  Result<Group> select(std::string const& name, std::string const& selector, bool fresh = true) {
    return put_group(*store, {name, selector, {}}, {.must_be_new = fresh}, deed());
  }
  Result<Group> list(std::string const& name, std::vector<std::string> ids, bool fresh = true) {
    std::sort(ids.begin(), ids.end());
    return put_group(*store, {name, {}, std::move(ids)}, {.must_be_new = fresh}, deed());
  }
  /// Ids of the devices that a selector fits.
  std::string fit(std::string const& selector) {
    std::string out;
    auto const read = read_kept_selector(store->reader(), selector);
    REQUIRE(read);
    REQUIRE(scan_selected(store->reader(), *read, [&](DeviceFacts const& device) -> Result<void> {
      out += device.id;
      return {};
    }));
    return out;
  }
  Result<void> remove(std::string const& name) {
    return store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
      FLEET_TRY(auto const group, load_group(tx.connection(), name));
      return delete_group(tx, group, deed());
    });
  }
  std::int64_t rows() { return std::stoll(text({"test.rows", "SELECT count(*) FROM device_list_ids"})); }
};

TEST_CASE_FIXTURE(Groups, "a group fits who is in its list or whom its selector fits, beside other conditions, within other groups") {
  REQUIRE(select("one", "site=1"));
  REQUIRE(list("few", {"b", "c", "to-come"}));
  REQUIRE(select("both", "group=one,group=few"));
  struct Case {
    std::string selector, fits;
  };
  for (auto const& [selector, fits] : std::vector<Case>{{"group=one", "ab"},
                                                       {"group=few", "bc"},
                                                       {"group=both", "b"},
                                                       {"group!=few", "a"},
                                                       {"group!=both", "ac"},
                                                       {"group in (one,few)", "abc"},
                                                       {"group notin (one,few)", ""},
                                                       {"group=few,site=2", "c"},
                                                       {"group=few,site!=2", "b"},
                                                       {"group=few,group=one,hardware=cam-a", "b"},
                                                       {"group=few,hardware=cam-b", ""},
                                                       {"group=gone", ""},
                                                       {"group!=gone", ""},
                                                       {"group in (one,gone)", ""}}) {
    CAPTURE(selector);
    CHECK(fit(selector) == fits);
  }
  CHECK(read_selector(store->reader(), "group=one"));
  CHECK(read_selector(store->reader(), "group=gone").error().code == "unknown_group");
  for (auto const* const bad : {"group", "!group", "group=", "group=a b", "group=../x"}) CHECK(Selector::parse(bad).error().code == "bad_selector");
}

TEST_CASE_FIXTURE(Groups, "a list is replaced at once, its devices are who is in it now, and what was before is forgotten in pieces") {
  REQUIRE(list("few", {"a"}));
  auto const before = store->epochs().policy();
  std::vector<std::string> many{"b"};
  for (int i = 0; i < 5'000; ++i) many.push_back(fmt::format("d{:05}", i));
  auto const moved = list("few", many, false);
  REQUIRE(moved);
  CHECK(moved->devices == 5'001);
  CHECK(store->epochs().policy() > before);  // who remembers a decision decides again
  CHECK(fit("group=few") == "b");
  CHECK(*count_unknown(store->reader(), *moved) == 5'000);
  CHECK(list_group_ids(store->reader(), *moved, "b", 2)->front() == std::pair(std::string("d00000"), false));
  auto const forget = [&] { return *store->write_value<bool>(store::Lane::verbs, [&](store::Tx& tx) { return forget_lists(tx, clock.wall(), 1'000); }); };
  CHECK(forget());
  CHECK_FALSE(forget());
  CHECK(rows() == 5'001);
  auto const epoch = store->epochs().policy();
  CHECK(list("few", many, false)->revision == moved->revision);  // the same again changes nothing
  CHECK(store->epochs().policy() == epoch);
  REQUIRE(select("few", "site=2", false));
  CHECK(fit("group=few") == "c");
  for (int i = 0; i < 20; ++i) static_cast<void>(forget());
  CHECK(rows() == 0);
}

TEST_CASE_FIXTURE(Groups, "a list that was not written to its end changes nothing, and is forgotten a day later") {
  REQUIRE(list("few", {"a"}));
  REQUIRE(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
    return tx.connection().script(fmt::format("INSERT INTO device_lists (list, made_at) VALUES (7, {}); INSERT INTO device_list_ids (list, device) VALUES (7, 'b')",
                                              to_unix_ms(clock.wall())));
  }));
  CHECK(fit("group=few") == "a");
  auto const forget = [&] { return *store->write_value<bool>(store::Lane::verbs, [&](store::Tx& tx) { return forget_lists(tx, clock.wall(), 10); }); };
  CHECK_FALSE(forget());
  clock.advance(std::chrono::hours(25));
  CHECK(forget());
  CHECK(rows() == 1);
}

TEST_CASE_FIXTURE(Groups, "what would be in itself, too deep, there already, changed meanwhile or not there is refused, and nothing changes") {
  REQUIRE(select("a", "site=1"));
  REQUIRE(select("b", "group=a"));
  REQUIRE(select("c", "group=b,site=1"));
  auto const circle = select("a", "site=1,group=c", false);
  REQUIRE(!circle);
  CHECK(circle.error().code == "group_cycle");
  CHECK(circle.error().detail.find("a -> c -> b -> a") != std::string::npos);
  CHECK(select("d", "group=d").error().code == "unknown_group");
  CHECK(select("a", "group=a", false).error().code == "group_cycle");
  CHECK(select("a", "site=2").error().code == "group_exists");
  CHECK(select("z", "site=2", false).error().code == "unknown_group");
  CHECK(select("z", "group=gone").error().code == "unknown_group");
  CHECK(select("not a name", "site=2").error().code == "bad_name");
  CHECK(put_group(*store, {"a", "site=2", {}}, {.revision = 7}, deed()).error().kind == Kind::precondition);
  CHECK(fit("group=c") == "ab");
  for (int i = 0; i < 5; ++i) REQUIRE(select(fmt::format("deep{}", i), i == 0 ? "group=c" : fmt::format("group=deep{}", i - 1)));
  CHECK(select("too", "group=deep4").error().code == "group_too_deep");
  CHECK(fit("group=deep4") == "ab");
  REQUIRE(select("x0", "site=1"));
  for (int i = 1; i < 5; ++i) REQUIRE(select(fmt::format("x{}", i), fmt::format("group in (x{0},a),group in (x{0},b)", i - 1)).has_value() == (i < 3));
}

TEST_CASE_FIXTURE(Groups, "a group that something uses stays; the refusal names it") {
  REQUIRE(list("few", {"a"}));
  REQUIRE(select("outer", "group=few"));
  sql({"test.token", "INSERT INTO tokens (id, name, role, selector, hash, created_by, created_at) VALUES ('t', 'ops', 'viewer', 'site=1,group=outer', x'01', 'x', 0)"});
  auto const inner = remove("few");
  CHECK(inner.error().code == "group_in_use");
  CHECK(inner.error().detail.find("group outer") != std::string::npos);
  CHECK(remove("outer").error().detail.find("token ops") != std::string::npos);
  sql({"test.revoke", "UPDATE tokens SET revoked_at = 1"});
  CHECK(remove("outer"));
  CHECK(remove("few"));
  CHECK(remove("few").error().code == "unknown_group");
}

TEST_CASE_FIXTURE(Groups, "limits by a group cover who is in it, and no other group by what it happens to hold") {
  REQUIRE(select("mine", "site=1"));
  REQUIRE(select("inner", "group=mine,hardware=cam-a"));
  REQUIRE(list("few", {"a"}));
  auto const limits = *Limits::read(store->reader(), "", "group=mine");
  auto const covers_device = [&](std::int64_t n) { return limits.covers(view_of(*load_device_facts(store->reader(), n))); };
  CHECK(covers_device(1));
  CHECK_FALSE(covers_device(3));
  CHECK(limits.cover(*Selector::parse("group=mine,x=1")));
  CHECK_FALSE(limits.cover(*Selector::parse("group=few")));  // it may change
  CHECK_FALSE(limits.cover(*Selector::parse("group in (mine,few)")));
  auto const shown = *list_groups(store->reader(), limits, "", 10);
  REQUIRE(shown.size() == 2);
  CHECK(shown[0].name == "inner");
  CHECK(shown[1].name == "mine");
  CHECK(select("who", "running=rival@1").error().code == "unknown_version");  // a slip, kept, would mean nobody for ever
  sql({"test.models", "INSERT INTO models (name, created_at) VALUES ('rival', 0)"});
  sql({"test.releases", "INSERT INTO releases (model, version, digest, document, request, state, created_by, created_at) VALUES ('rival', '1', x'01', '', x'', 'approved', '', 0)"});
  REQUIRE(select("who", "running=rival@1"));
  CHECK_FALSE(Limits::read(store->reader(), "reader", "")->may_ask(*read_kept_selector(store->reader(), "group=who")));
}

}  // namespace
}  // namespace fleet::registry
