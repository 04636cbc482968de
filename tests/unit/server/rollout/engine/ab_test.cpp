#include "server/rollout/engine/decide.hpp"
#include "server/rollout/engine/plan.hpp"
#include "server/rollout/engine/revoked.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace fleet;
using namespace fleet::rollout;
namespace ds = fleet::rollout::device_state;

namespace {

SysTime const kNow = from_unix_ms(1'800'000'000'000);
constexpr int kDevices = 200;
std::string const kPolicy = R"({"ab":{"against":"m@2","window":10,"grow":1,"every":"0s"},"gates":{"failures":{}}})";

/// Release 3 beside release 2; the devices run 1 unless a case says so.
struct Test {
  Rollout rollout;
  std::shared_ptr<Ladder const> ladder;

  explicit Test(std::string const& policy = kPolicy) {
    rollout.n = 1;
    rollout.id = "r_1";
    rollout.model = "m";
    rollout.version = "3";
    rollout.release_n = 3;
    rollout.digest.bytes[0] = 3;
    rollout.against = Against{2, "2", {}, 0, "approved"};
    rollout.against->digest.bytes[0] = 2;
    rollout.salt = "salt";
    rollout.state = State::running;
    rollout.stage = 1;
    rollout.stage_since = kNow;
    rollout.moment = 1;
    rollout.release_state = "approved";
    Places places;
    for (int i = 0; i < kDevices; ++i) places["cam"].push_back(place("salt", "d-" + std::to_string(i)));
    auto plan = plan_of_places(*decode_policy(policy), places);
    rollout.policy = plan.policy;
    ladder = std::make_shared<Ladder const>(plan.ladder);
    rollout.progress = enter({rollout.policy, *ladder}, {}, 1, false, Millis(0));
  }
  void tell_all() {
    while (rollout.progress.canaries < ladder->stage_size.front()) {
      rollout.progress.judged = true;
      rollout.progress = enter({rollout.policy, *ladder}, rollout.progress, 1, false, Millis(0));
    }
  }
  [[nodiscard]] ViewPtr view() const {
    auto view = *make_view(rollout, ladder);
    view.variants["cam"] = view.variants_against["cam"] = 1'000;
    return std::make_shared<RolloutView const>(std::move(view));
  }
  [[nodiscard]] Seat seat(int i) const { return view()->seat("cam", place("salt", "d-" + std::to_string(i))); }
  [[nodiscard]] int first(Seat wanted) const {
    for (int i = 0; i < kDevices; ++i)
      if (seat(i) == wanted) return i;
    return -1;
  }
  [[nodiscard]] Desired ask(int i, std::string const& runs = "1", DeviceRow const* row = nullptr) const {
    Snapshot snapshot;
    put_view(snapshot, view());
    sort_views(snapshot);
    registry::DeviceFacts device;
    device.n = i + 1;
    device.id = "d-" + std::to_string(i);
    device.hardware = "cam";
    device.running.versions["m"] = runs;
    DeviceRows rows;
    if (row != nullptr) rows[1] = *row;
    return decide_model(snapshot, "m", device, rows, {{kNow, Millis{0}}}).desired;
  }
};

std::string said(Desired const& desired) {
  if (desired.target.model.empty()) return "nothing";
  auto const action = desired.target.action;
  auto const word = action == wire::Action::install ? "install " : action == wire::Action::prove ? "prove " : action == wire::Action::revert ? "revert " : "remove ";
  return word + desired.version + " as " + std::string(to_string(desired.arm));
}

DeviceRow row_of(Arm arm, std::string_view state = ds::kHealthy, bool exposed = true) {
  DeviceRow row;
  row.state = state;
  row.exposed = exposed;
  row.from_version = "1";
  row.arm = arm;
  return row;
}

}  // namespace

TEST_CASE("arms are exact, windows tell both in proportion, and in the end everybody is told") {
  Test test(R"({"ab":{"against":"m@2","share":"25%","window":5,"grow":1,"every":"0s"},"gates":{"failures":{}}})");
  auto const count = [&](Seat wanted) {
    int out = 0;
    for (int i = 0; i < kDevices; ++i) out += test.seat(i) == wanted;
    return out;
  };
  CHECK(count(Seat::canary) == 5);
  CHECK(count(Seat::against) == 15);
  CHECK(count(Seat::later) == 180);
  std::set<int> before;
  for (int i = 0; i < kDevices; ++i)
    if (test.seat(i) != Seat::later) before.insert(i);
  test.tell_all();
  CHECK(count(Seat::canary) == 50);
  CHECK(count(Seat::against) == 150);
  for (int const i : before) CHECK(test.seat(i) != Seat::later);
}

TEST_CASE("who runs its arm's release proves it, everybody else installs it") {
  Test test;
  int const a = test.first(Seat::canary), b = test.first(Seat::against), later = test.first(Seat::later);
  CHECK(said(test.ask(a)) == "install 3 as canary");
  CHECK(said(test.ask(a, "3")) == "prove 3 as standing");
  CHECK(said(test.ask(b)) == "install 2 as against");
  CHECK(said(test.ask(b, "2")) == "prove 2 as control");
  CHECK(said(test.ask(b, "3")) == "install 2 as against");
  CHECK(said(test.ask(later)) == "nothing");
  CHECK(test.ask(b).target.hashes.at("sha256") == test.rollout.against->digest.hex());
  auto const at_it = row_of(Arm::control, ds::kProbation, false), done = row_of(Arm::control, ds::kHealthy, false);
  CHECK(said(test.ask(b, "2", &at_it)) == "prove 2 as control");
  CHECK(said(test.ask(b, "2", &done)) == "nothing");
}

TEST_CASE("however a test ends, an arm keeps what it has unless it is taken back: then each device returns to its own version before") {
  Test test;
  int const a = test.first(Seat::canary), b = test.first(Seat::against);
  auto const on_a = row_of(Arm::canary), on_b = row_of(Arm::against);
  struct {
    State state;
    Winner winner;
    std::string_view a, b;
  } const kCases[] = {
      {State::completed, Winner::a, "install 3 as canary", "install 2 as against"},
      {State::completed, Winner::none, "install 3 as canary", "install 2 as against"},
      {State::aborted, Winner::open, "install 3 as canary", "install 2 as against"},
      {State::rolling_back, Winner::b, "revert 1 as canary", "install 2 as against"},
      {State::rolled_back, Winner::b, "revert 1 as canary", "install 2 as against"},
      {State::rolling_back, Winner::none, "revert 1 as canary", "revert 1 as against"},
      {State::rolling_back, Winner::open, "revert 1 as canary", "revert 1 as against"},
  };
  for (auto const& c : kCases) {
    CAPTURE(to_string(c.state));
    CAPTURE(to_string(c.winner));
    test.rollout.state = c.state;
    test.rollout.progress.winner = c.winner;
    CHECK(said(test.ask(a, "3", &on_a)) == c.a);
    CHECK(said(test.ask(b, "2", &on_b)) == c.b);
    CHECK(said(test.ask(a, "1")) == "nothing");  // nobody new is told
    auto const begun = row_of(Arm::against, ds::kDownloading, false);
    CHECK(said(test.ask(b, "1", &begun)) == "nothing");  // nor goes on with what it has not switched to
  }
}

TEST_CASE("a release that was revoked in a test is for nobody; who has the other one keeps it") {
  Test test;
  int const a = test.first(Seat::canary), b = test.first(Seat::against);
  auto const on_a = row_of(Arm::canary), on_b = row_of(Arm::against);
  for (auto const state : {State::running, State::aborted}) {
    test.rollout.state = state;
    test.rollout.release_state = "approved";
    test.rollout.against->state = "revoked";
    CHECK(said(test.ask(a)) == "nothing");
    CHECK(said(test.ask(a, "3", &on_a)) == "install 3 as canary");
    CHECK(said(test.ask(b, "2", &on_b)) == "nothing");
    Snapshot snapshot;
    put_view(snapshot, test.view());
    sort_views(snapshot);
    auto const& of_model = snapshot.models.at("m");
    CHECK(revoked_here(of_model, {{1, on_b}}) == std::vector{test.rollout.against->digest.hex()});
    CHECK(revoked_here(of_model, {{1, on_a}}).empty());
    test.rollout.release_state = "revoked";
    test.rollout.against->state = "approved";
    CHECK(said(test.ask(a, "3", &on_a)) == "nothing");
    CHECK(said(test.ask(b, "2", &on_b)) == "install 2 as against");
  }
}

TEST_CASE("progress of a test is read back as it was") {
  Test test;
  test.rollout.progress.winner = Winner::b;
  test.rollout.progress.folded.control_golden = {1, 2};
  test.rollout.progress.folded.metrics_against = {{{.1, .2}, {1, 2, 3, 4}, 5, 6, 7, 8}};
  CHECK(*decode_progress(encode(test.rollout.progress)) == test.rollout.progress);
}

TEST_CASE("a plan says how large the arms are, and what they can tell") {
  Places places;
  for (int i = 0; i < 1'000; ++i) places["cam"].push_back(place("salt", "d-" + std::to_string(i)));
  auto const plan = plan_of_places(*decode_policy(R"({"ab":{"against":"m@2"},"gates":{"failures":{},"silent":{}}})"), places);
  REQUIRE(plan.stages.size() == 1);
  CHECK(plan.stages[0].devices == 500);
  CHECK(plan.stages[0].controls == 500);
  CHECK(plan.stages[0].window == 25);
  CHECK(plan.policy.stage(1).window == 0);  // what nobody wrote is of the fleet, not of the policy: planned over another one it is another
  CHECK(plan.warnings.empty());
  REQUIRE(plan.stages[0].detects.size() == 3);
  CHECK_MESSAGE(plan.stages[0].detects[0].find("0.7 % in all") != std::string::npos, plan.stages[0].detects[0]);
  CHECK_MESSAGE(plan.stages[0].detects[1].find("see 1 % become") != std::string::npos, plan.stages[0].detects[1]);
}
