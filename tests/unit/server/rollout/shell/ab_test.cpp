#include "tests/unit/server/rollout/shell/rollout_fixture.hpp"

using namespace fleet;
using namespace fleet::rollout;
using namespace fleet::rollout::test;

namespace {

std::string const kTest = R"({"ab":{"against":"reader@2.0.0","every":"0s"},"gates":{"failures":{},"silent":{}},"strata":[]})";

/// Sixty devices that run 1.0.0, and two releases to choose from.
struct TestFixture : RolloutFixture {
  TestFixture() {
    for (auto const* const version : {"1.0.0", "2.0.0", "3.0.0"}) add_release(version, {"cam-a"});
    add_devices(60, "cam-a");
    REQUIRE(make("1.0.0", kPlainPolicy));
    REQUIRE(reaches("r_1", State::completed));
  }
  void fails(std::string const& version) {
    behaviour = [version](auto const&, std::string const& one) { return one == version ? Behaviour::fails_probation : Behaviour::works; };
  }
  std::string winner(std::string const& id) { return std::string(to_string(get(id).progress.winner)); }
  std::string explained(std::string const& id) { return *explain_json(store->reader(), get(id)); }
};

bool has(std::string const& text, std::string_view words) { return text.find(words) != std::string::npos; }

}  // namespace

TEST_CASE_FIXTURE(TestFixture, "two releases that are alike: no winner, each arm keeps what it has, and who joins later is told neither") {
  auto const made = make("3.0.0", kTest);
  REQUIRE_MESSAGE(made, made.error().detail);
  REQUIRE(reaches("r_2", State::completed));
  CHECK(winner("r_2") == "none");
  CHECK(running_count("3.0.0") == 30);
  CHECK(running_count("2.0.0") == 30);
  CHECK(has(explained("r_2"), "no winner: 30 devices on reader@3.0.0 beside 30 on reader@2.0.0 show no difference"));
  add_devices(62, "cam-b");
  sql({"test.move", "UPDATE devices SET hardware = 'cam-a' WHERE n > 120"});
  steps(3);
  CHECK(running_count("3.0.0") == 30);
  CHECK(running_count("1.0.0") == 2);
}

TEST_CASE_FIXTURE(TestFixture, "the release fails beside the other one: its arm returns, each device to its own version, and the other arm keeps what won") {
  fails("3.0.0");
  REQUIRE(make("3.0.0", kTest));
  REQUIRE(reaches("r_2", State::rolled_back));
  CHECK(winner("r_2") == "B");
  steps(3);
  CHECK(running_count("3.0.0") == 0);
  auto const on_two = running_count("2.0.0");
  CHECK(on_two > 0);
  CHECK(running_count("1.0.0") == 60 - on_two);
  CHECK(count("r_2", "reverted", "against") == 0);
  auto const text = explained("r_2");
  CHECK_MESSAGE(has(text, "reader@2.0.0 won: failures: "), text);
  CHECK_MESSAGE(has(text, R"("winner":"B")"), text);
  CHECK_MESSAGE(has(text, "fleetctl rollout create --release reader@2.0.0 --all"), text);
}

TEST_CASE_FIXTURE(TestFixture, "the other release fails: the rollout's has won, and a person who takes the test back takes both arms back") {
  fails("2.0.0");
  REQUIRE(make("3.0.0", kTest));
  REQUIRE(reaches("r_2", State::completed));
  CHECK(winner("r_2") == "A");
  steps(3);
  auto const on_three = running_count("3.0.0");
  CHECK(on_three > 0);
  CHECK(running_count("1.0.0") == 60 - on_three);
  CHECK(has(explained("r_2"), "reader@3.0.0 won: failures: "));
  REQUIRE(act([&](store::Tx& tx) { return rollback(tx, "r_2", deed()); }));
  REQUIRE(reaches("r_2", State::rolled_back));
  steps(2);
  CHECK(running_count("1.0.0") == 60);
}

TEST_CASE_FIXTURE(TestFixture, "who runs its arm's release proves it, and nothing is installed there") {
  REQUIRE(make("2.0.0", kPlainPolicy));
  REQUIRE(reaches("r_2", State::completed));
  REQUIRE(make("3.0.0", kTest));
  REQUIRE(reaches("r_3", State::completed));
  CHECK(count("r_3", "healthy", "control") == 30);
  CHECK(count("r_3", "", "against") == 0);
  CHECK(count("r_3", "healthy") == 30);
}

TEST_CASE_FIXTURE(TestFixture, "a release that is revoked in the middle of a test ends it; the other arm keeps what it has") {
  behaviour = [](auto const&, auto const&) { return Behaviour::lingers; };
  REQUIRE(make("3.0.0", kTest));
  steps(2);
  behaviour = [](auto const&, auto const&) { return Behaviour::works; };
  REQUIRE(get("r_2").state == State::running);
  auto const done = store->write_wait(store::Lane::verbs, [&](store::Tx& tx) {
    tx.raise_policy_epoch();
    return tx.prepare({"test.revoke", "UPDATE releases SET state = 'revoked' WHERE version = '2.0.0'"}).run();
  });
  REQUIRE(done);
  look();
  CHECK(get("r_2").state == State::aborted);
  CHECK(has(get("r_2").reason, "reader@2.0.0 was revoked"));
}

TEST_CASE_FIXTURE(TestFixture, "a test that starts over a smaller fleet than it was planned over has the windows of the smaller one") {
  add_devices(940, "cam-b");
  sql({"test.move", "UPDATE devices SET hardware = 'cam-a' WHERE n > 60"});
  auto const id = make("3.0.0", kTest, false)->id;
  sql({"test.away", "UPDATE devices SET hardware = 'cam-b' WHERE n > 60"});
  REQUIRE(act([&](store::Tx& tx) { return start(tx, id, deed()); }));
  look();  // plans anew
  look();
  REQUIRE_FALSE(get(id).waits_to_begin());
  look();
  for (int n = 1; n <= 60; ++n) poll(n);
  CHECK(count(id, "") == 4);
  CHECK(reaches(id, State::completed));
}

TEST_CASE_FIXTURE(TestFixture, "what cannot be tested is refused, and says why") {
  struct {
    std::string version, against;
    std::string_view code;
  } const kCases[] = {
      {"3.0.0", "reader@3.0.0", "not_to_be_tested"},
      {"3.0.0", "writer@2.0.0", "not_to_be_tested"},
      {"3.0.0", "reader@9.0.0", "unknown_release"},
      {"3.0.0", "reader@4.0.0", "too_few_to_test"},
      {"3.0.0", "reader@5.0.0", "release_not_approved"},
      {"3.0.0", "reader@6.0.0", "release_revoked"},
  };
  add_release("4.0.0", {"cam-b"});
  add_release("5.0.0", {"cam-a"}, 0, "draft");
  add_release("6.0.0", {"cam-a"}, 0, "revoked");
  for (auto const& c : kCases) {
    CAPTURE(c.against);
    auto const made = make(c.version, R"({"ab":{"against":")" + c.against + R"("},"gates":{"failures":{}}})");
    REQUIRE_FALSE(made);
    CHECK(made.error().code == c.code);
  }
  auto const made = make("3.0.0", kTest);
  REQUIRE(made);
  auto const promoted = act([&](store::Tx& tx) { return promote(tx, made->id, {1, false}, deed()); });
  REQUIRE_FALSE(promoted);
  CHECK(promoted.error().code == "is_a_test");
}
