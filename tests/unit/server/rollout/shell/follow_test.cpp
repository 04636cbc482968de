#include "server/rollout/shell/follow.hpp"
#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

#include <fmt/format.h>

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

constexpr auto kAtOnce = R"({"stages":[{"percent":100}]})";
constexpr auto kAgreed = R"({"stages":[{"percent":100}],"approvals":{"required":1,"before_stage":1}})";

struct Following : RolloutFixture {
  Following() {
    for (auto const* const version : {"1", "2", "3"}) add_release(version, {"cam-a"});
    add_release("4", {"cam-a"}, 0, "draft");
    add_devices(4, "cam-a");
  }
  Result<Rollout> move(std::string const& from, std::string const& to, std::string const& policy = kAtOnce) {
    FLEET_TRY(auto const planned, plan_move(store->reader(), system_fs(), {"reader", "stable", from, to, "", policy}, "f_" + to));
    return store->write_value<Rollout>(store::Lane::verbs, [&](store::Tx& tx) { return start_move(tx, planned, deed("tested")); });
  }
};

}  // namespace

TEST_CASE_FIXTURE(Following, "a move starts the rollout of whoever moved the alias, and says what moved") {
  auto const made = move("1", "2");
  REQUIRE_MESSAGE(made, made.error().detail);
  look();
  auto const found = get("f_2");
  CHECK(found.state == State::running);
  CHECK(found.follows == "stable");
  CHECK(found.created_by == "token:ops");
  CHECK(found.reason == "alias stable: 1 -> 2: tested");
  CHECK(reaches("f_2", State::completed));
  CHECK(running_count("2") == 4);
  CHECK(move("2", "1"));  // back is a rollout as well
  look();
  CHECK(reaches("f_1", State::completed));
  CHECK(running_count("1") == 4);
}

TEST_CASE_FIXTURE(Following, "what the alias started before gives way, what waits for an approval is aborted") {
  REQUIRE(move("", "1"));
  look();
  REQUIRE(move("1", "2", kAgreed));
  CHECK(get("f_2").state == State::awaiting_approval);
  CHECK(get("f_1").state == State::running);
  auto const third = move("2", "3");
  REQUIRE_MESSAGE(third, third.error().detail);
  CHECK(get("f_1").state == State::aborted);
  CHECK(get("f_2").state == State::aborted);
  look();
  CHECK(reaches("f_3", State::completed));
}

TEST_CASE_FIXTURE(Following, "an alias moves on while two of its rollouts before are still there: one going back, one that replaced it") {
  add_release("5", {"cam-a"});
  REQUIRE(move("", "1"));
  look();
  REQUIRE(reaches("f_1", State::completed));
  REQUIRE(move("1", "2"));
  look();
  for (int n = 1; n <= 4; ++n) poll(n);
  REQUIRE(act([&](store::Tx& tx) { return rollback(tx, "f_2", deed()); }));
  REQUIRE(move("2", "3"));
  auto const made = move("3", "5");
  REQUIRE_MESSAGE(made, made.error().detail);
  CHECK(get("f_2").state == State::rolling_back);
  CHECK(get("f_3").state == State::aborted);
  CHECK(make("4", kAtOnce).error().code == "rollout_overlaps");  // a person's stands behind both
  CHECK(reaches("f_5", State::completed));
  CHECK(get("f_2").state == State::rolled_back);
  CHECK(running_count("5") == 4);
}

TEST_CASE_FIXTURE(Following, "what completed last is told to who joins, however many moves were superseded since") {
  REQUIRE(move("", "1"));
  look();
  REQUIRE(reaches("f_1", State::completed));
  for (int i = 0; i < 9; ++i) {
    auto const id = make("2", kAtOnce)->id;
    REQUIRE(act([&](store::Tx& tx) { return abort(tx, id, deed("superseded")); }));
  }
  add_devices(1, "cam-b");
  sql({"test.joins", "UPDATE devices SET hardware = 'cam-a' WHERE n = 5"});
  CHECK(decide(5).models[0].version == "1");
}

TEST_CASE_FIXTURE(Following, "a person's rollout refuses the move, and so does a release that is not approved; nothing changes") {
  auto const own = make("1", kAtOnce)->id;
  CHECK(move("1", "2").error().code == "rollout_overlaps");
  CHECK(get(own).state == State::running);
  REQUIRE(act([&](store::Tx& tx) { return abort(tx, own, deed()); }));
  CHECK(move("1", "4").error().code == "release_not_approved");
  CHECK_FALSE(load_rollout(store->reader(), "f_4"));
}
