#include "server/rollout/engine/decide.hpp"
#include "server/rollout/engine/windows.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

using namespace fleet;
using namespace fleet::rollout;
namespace ds = fleet::rollout::device_state;

namespace {

SysTime const kNow = from_unix_ms(1'800'000'000'000);
constexpr int kDevices = 200;

std::string const kPolicy = R"({"stages":[{"devices":10,"window":5},{"percent":100}],"gates":{"failures":{}},"holdback":"10%"})";

/// One rollout over two hundred devices, as its windows stand.
struct Live {
  Rollout rollout;
  std::shared_ptr<Ladder const> ladder;

  explicit Live(std::string const& policy = kPolicy, std::int64_t n = 1) {
    rollout.n = n;
    rollout.id = "r_" + std::to_string(n);
    rollout.model = "m";
    rollout.version = "2";
    rollout.policy = *decode_policy(policy);
    rollout.salt = "salt";
    rollout.state = State::running;
    rollout.stage = 1;
    rollout.stage_since = kNow;
    rollout.moment = n;
    rollout.release_state = "approved";
    Places places;
    for (int i = 0; i < kDevices; ++i) places["cam"].push_back(place("salt", "d-" + std::to_string(i)));
    ladder = std::make_shared<Ladder const>(make_ladder(rollout.policy.stages, rollout.policy.holdback, places));
    rollout.progress = enter({rollout.policy, *ladder}, {}, 1, false, Millis(0));
  }
  /// The next window, of a stage.
  void open_next(int stage) {
    rollout.progress.judged = rollout.progress.shut = true;
    rollout.stage = stage;
    rollout.progress = enter({rollout.policy, *ladder}, rollout.progress, stage, false, Millis(0));
  }
  [[nodiscard]] ViewPtr view() const {
    auto view = *make_view(rollout, ladder);
    view.variants["cam"] = 1'000;
    return std::make_shared<RolloutView const>(std::move(view));
  }
};

Snapshot snapshot_of(std::vector<ViewPtr> const& views) {
  Snapshot out;
  for (auto const& view : views) put_view(out, view);
  sort_views(out);
  return out;
}

registry::DeviceFacts device(int i, std::string const& runs = "1") {
  registry::DeviceFacts out;
  out.n = i + 1;
  out.id = "d-" + std::to_string(i);
  out.hardware = "cam";
  if (!runs.empty()) out.running.versions["m"] = runs;
  return out;
}

ModelDecision ask(Live const& live, int i, DeviceRows const& rows = {}, std::string const& runs = "1") {
  return decide_model(snapshot_of({live.view()}), "m", device(i, runs), rows, {{kNow, Millis(0)}});
}

/// `install`, `prove`, `nothing because later_stage`.
std::string said(ModelDecision const& decided) {
  auto const& desired = decided.desired;
  if (desired.target.model.empty()) return "nothing because " + (desired.because.empty() ? "-" : desired.because.back().code);
  return desired.target.action == wire::Action::install ? "install" : desired.target.action == wire::Action::prove ? "prove" : "back";
}

/// Some device of this arm; of a control or canary as the window stands.
int one_of(Live const& live, std::string const& what) {
  for (int i = 0; i < kDevices; ++i)
    if (said(ask(live, i)) == what) return i;
  FAIL("nobody is told to " << what);
  return -1;
}

DeviceRow row(std::string_view state, Arm arm = Arm::canary, std::int64_t attempt = 1) {
  DeviceRow out;
  out.state = state;
  out.arm = arm;
  out.attempt = attempt;
  out.from_version = "1";
  return out;
}

}  // namespace

TEST_CASE("as a window stands each device is canary, control, of a later stage, or held back: never two of them") {
  Live live;
  std::map<std::string, int> counts;
  for (int i = 0; i < kDevices; ++i) ++counts[said(ask(live, i))];
  CHECK(counts["install"] == 5);
  CHECK(counts["prove"] == live.ladder->counts[static_cast<std::size_t>(live.rollout.progress.controls)] - 5);
  CHECK(counts["prove"] >= 45);
  CHECK(counts["nothing because held_back"] == 20);
  CHECK(counts["nothing because later_stage"] == kDevices - counts["install"] - counts["prove"] - 20);
}

TEST_CASE("a control is told to prove what it runs, under the conditions of canaries, while the window is open and not longer") {
  Live live(R"({"stages":[{"devices":10,"window":5},{"percent":100}],"gates":{"failures":{}},"device":{"battery_min":"30%","charging":true},
    "windows":[{"zone":"UTC","days":["mon"],"from":"01:00","to":"05:00"}]})");
  auto const control = one_of(live, "prove");
  auto const decided = ask(live, control);
  CHECK(decided.desired.joins);
  CHECK(decided.desired.arm == Arm::control);
  CHECK(decided.desired.version == "1");
  CHECK(decided.desired.target.attempt == 1);
  CHECK(decided.desired.target.conditions.battery_min_percent == 30);
  CHECK(decided.desired.target.windows.size() == 1);
  CHECK(decided.desired.target.hashes.empty());  // the caller's to fill in
  CHECK(said(ask(live, control, {}, "")) != "prove");   // it runs nothing
  CHECK(said(ask(live, control, {}, "2")) != "prove");  // it runs the release

  auto shut = live;
  shut.rollout.progress.shut = true;
  CHECK(said(ask(shut, control)) == "nothing because later_stage");
  auto judged = live;
  judged.rollout.progress.judged = true;
  CHECK(said(ask(judged, control)) == "nothing because later_stage");
  auto const view = live.view();  // the snapshot is older than the window's end
  view->window_now->store(2);
  CHECK(said(decide_model(snapshot_of({view}), "m", device(control), {}, {{kNow, Millis(0)}})) == "nothing because later_stage");
}

TEST_CASE("who proves goes on proving when its window is shut; when it proved it is asked again in the next window, or becomes a canary") {
  Live live;
  auto const control = one_of(live, "prove");
  auto shut = live;
  shut.rollout.progress.shut = true;
  auto const goes_on = ask(shut, control, {{1, row(ds::kProbation, Arm::control, 1)}});
  CHECK(said(goes_on) == "prove");
  CHECK_FALSE(goes_on.desired.joins);
  CHECK(said(ask(shut, control, {{1, row(ds::kHealthy, Arm::control, 1)}})) == "nothing because control");

  auto next = live;
  next.open_next(1);
  REQUIRE(next.rollout.progress.window == 2);
  std::map<std::string, int> became;
  for (int i = 0; i < kDevices; ++i) {
    if (said(ask(live, i)) != "prove") continue;
    auto const decided = ask(next, i, {{1, row(ds::kHealthy, Arm::control, 1)}});
    ++became[said(decided)];
    CHECK(decided.desired.joins);
    if (said(decided) == "prove") CHECK(decided.desired.target.attempt == 2);
    if (said(decided) == "install") CHECK(decided.desired.target.attempt == 1);
  }
  CHECK(became["install"] == 5);
  CHECK(became["prove"] >= 40);
  CHECK(became.size() == 2);
}

TEST_CASE("a control that the window passed by is no canary before its turn, and its late proof belongs to no window") {
  Live live;
  auto const control = one_of(live, "prove");
  CHECK(said(ask(live, control, {{1, row(ds::kSilent, Arm::control, 1)}})) == "nothing because control");
  CHECK(said(ask(live, control, {{1, row(ds::kFailed, Arm::control, 1)}})) == "nothing because control");
}

TEST_CASE("the holdback proves in the last stage, where there is control, and gets the release once the rollout completed") {
  Live live;
  std::set<int> held;
  for (int i = 0; i < kDevices; ++i)
    if (said(ask(live, i)) == "nothing because held_back") held.insert(i);
  auto last = live;
  last.open_next(2);
  REQUIRE(last.rollout.progress.canaries == last.ladder->last());  // one window of everybody: no control is left but the holdback
  auto full = last;
  full.rollout.progress.full = true;
  auto plain = last;
  plain.rollout.policy.failures.reset();
  for (int const i : held) {
    auto const decided = ask(last, i);
    CHECK(said(decided) == "prove");
    CHECK(decided.desired.arm == Arm::holdback);
    CHECK(decided.desired.stage == kHeldBack);
    CHECK(said(ask(full, i)) == "nothing because held_back");
    CHECK(said(ask(plain, i)) == "nothing because held_back");  // no gate compares
  }
  auto completed = last;
  completed.rollout.state = State::completed;
  for (int i = 0; i < kDevices; ++i) CHECK(said(ask(completed, i)) == "install");
  for (int const i : held) CHECK(said(ask(completed, i, {{1, row(ds::kHealthy, Arm::holdback, 2)}})) == "install");
}

TEST_CASE("nothing new starts in a rollout that stands, in a quarantined stratum, or while changes are frozen") {
  Live live;
  auto const canary = one_of(live, "install"), control = one_of(live, "prove");
  for (auto const state : {State::paused, State::awaiting_approval}) {
    auto stands = live;
    stands.rollout.state = state;
    CHECK(said(ask(stands, canary)) == "nothing because " + std::string(to_string(state)));
    CHECK(said(ask(stands, canary, {{1, row(ds::kProbation)}})) == "install");  // who was told goes on
  }
  auto ill = live;
  ill.rollout.progress.quarantined.insert("cam");
  CHECK(said(ask(ill, canary)) == "nothing because quarantined");
  CHECK(said(ask(ill, control)) != "prove");
  CHECK(said(ask(ill, canary, {{1, row(ds::kProbation)}})) == "install");
  auto runs = row(ds::kHealthy);
  runs.exposed = true;
  CHECK(said(ask(ill, canary, {{1, runs}}, "2")) == "back");
  CHECK(said(ask(ill, canary, {{1, runs}})) == "nothing because quarantined");  // it is back already, whatever its row says
  ill.rollout.policy.on_harm = OnHarm::pause;
  CHECK(said(ask(ill, canary, {{1, runs}}, "2")) == "install");
  ill.rollout.policy.on_harm = OnHarm::rollback;
  ill.rollout.state = State::completed;
  CHECK(said(ask(ill, canary)) == "nothing because quarantined");
  CHECK(said(ask(ill, canary, {{1, runs}}, "2")) == "back");
  auto other = live;
  other.rollout.progress.quarantined.insert("other");
  CHECK(said(ask(other, canary)) == "install");

  auto frozen = live;
  frozen.rollout.policy.freeze = {{kNow - seconds(10), kNow + seconds(10)}};
  auto const waits = ask(frozen, canary);
  CHECK(said(waits) == "nothing because frozen");
  CHECK(waits.valid_until == kNow + seconds(10));
  CHECK(said(ask(frozen, control)) != "prove");
  frozen.rollout.policy.freeze = {{kNow - seconds(10), kNow}, {kNow + seconds(1), kNow + seconds(10)}};
  CHECK(said(ask(frozen, canary)) == "install");
}

TEST_CASE("limits hold controls as canaries") {
  Live live(R"({"stages":[{"devices":10,"window":5},{"percent":100}],"gates":{"failures":{}},"limits":{"in_flight":3}})");
  auto const canary = one_of(live, "install"), control = one_of(live, "prove");
  auto const view = live.view();
  view->at_work->store(3);
  auto const snapshot = snapshot_of({view});
  for (int const i : {canary, control}) {
    auto const decided = decide_model(snapshot, "m", device(i), {}, {{kNow, Millis(0)}});
    CHECK(decided.desired.target.model.empty());
    CHECK(decided.retry_soon);
    CHECK(decided.desired.because.front().code == "in_flight");
  }
}

TEST_CASE("of a fleet that grew since the plan, a few at a time are told, canaries alone; a person's `promote --full` tells all") {
  Live live(R"({"stages":[{"devices":10,"window":5},{"percent":100}],"gates":{"failures":{}}})");
  auto const canary = one_of(live, "install"), control = one_of(live, "prove");
  auto const view = live.view();
  auto const ask_of = [&](ViewPtr const& of, int i) { return decide_model(snapshot_of({of}), "m", device(i), {}, {{kNow, Millis(0)}}); };
  view->told->store(5);
  view->at_work->store(3);
  CHECK(said(ask_of(view, canary)) == "install");  // nobody has looked yet
  view->beyond_max->store(3);
  auto const waits = ask_of(view, canary);
  CHECK(said(waits) == "nothing because beyond_plan");
  CHECK(waits.beyond_plan);
  CHECK(waits.valid_until == kNow + std::chrono::minutes(1));
  CHECK(said(ask_of(view, control)) == "prove");
  view->at_work->store(2);
  CHECK(said(ask_of(view, canary)) == "install");
  view->at_work->store(3);
  view->told->store(4);
  CHECK(said(ask_of(view, canary)) == "install");
  live.rollout.progress.full = true;
  auto const all = live.view();
  all->told->store(100);
  all->at_work->store(3);
  all->beyond_max->store(3);
  CHECK(said(ask_of(all, canary)) == "install");
}

TEST_CASE("beyond the plan as many are at work as a first window has, then half of what is healthy; who waits takes no room") {
  Live const live(R"({"stages":[{"devices":10,"window":5},{"percent":100}],"gates":{"failures":{}}})");
  auto const view = live.view();
  Facts facts;
  Standing standing;
  CHECK(beyond_plan(view->setting(), standing, facts) == 5);
  facts.healthy = 30;
  CHECK(beyond_plan(view->setting(), standing, facts) == 15);
  facts.parked = 4;
  CHECK(beyond_plan(view->setting(), standing, facts) == 19);
  standing.stage = 2;
  CHECK(beyond_plan(view->setting(), standing, facts) == view->ladder->reach() - 10 + 4);
}

TEST_CASE("of two rollouts of a model the one of the higher priority goes first, then the one that started earlier") {
  Live first(R"({"stages":[{"percent":100}]})", 1), second(R"({"stages":[{"percent":100}]})", 2), urgent(R"({"stages":[{"percent":100}],"priority":5})", 3);
  auto const holder = [](std::vector<ViewPtr> const& views) { return decide_model(snapshot_of(views), "m", device(1), {}, {{kNow, Millis(0)}}).holder; };
  CHECK(holder({second.view(), first.view()}) == "r_1");
  CHECK(holder({second.view(), first.view(), urgent.view()}) == "r_3");
  auto const blocked = decide_model(snapshot_of({first.view(), second.view()}), "m", device(1), {}, {{kNow, Millis(0)}});
  CHECK(blocked.desired.because.back().code == "blocked");
}

TEST_CASE("rows of a canary: what it was told stays its target, failed is final for an attempt, who left or was dropped is told again") {
  Live live;
  auto const canary = one_of(live, "install");
  struct Case {
    std::string state;
    std::int64_t attempt;
    std::string says;
    bool joins;
  };
  for (auto const& c : {Case{"dispatched", 1, "install", false}, {"probation", 1, "install", false}, {"healthy", 1, "install", false}, {"silent", 1, "install", false},
                        {"failed", 1, "nothing because failed", false}, {"failed", 0, "install", true}, {"dropped", 1, "install", true}, {"left", 1, "install", true},
                        {"ineligible", 1, "nothing because ineligible", false}, {"reverted", 1, "nothing because reverted", false}}) {
    CAPTURE(c.state);
    auto const decided = ask(live, canary, {{1, row(c.state, Arm::canary, c.attempt)}});
    CHECK(said(decided) == c.says);
    CHECK(decided.desired.joins == c.joins);
  }
}

TEST_CASE("a rollout that waits to begin, and one whose release was revoked, tell nobody anything") {
  Live live;
  live.rollout.stage_since.reset();
  for (int i = 0; i < kDevices; ++i) CHECK(said(ask(live, i)) == "nothing because blocked");
  Live revoked;
  revoked.rollout.release_state = "revoked";
  for (int i = 0; i < kDevices; ++i) CHECK(said(ask(revoked, i)) == "nothing because revoked");
}

TEST_CASE("a device of a stratum that planning did not see has its seat by the share of all") {
  Live live;
  int canaries = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto strange = device(i);
    strange.id = "late-" + std::to_string(i);
    strange.hardware = "cam";
    auto view = live.view();
    auto const seat = view->seat("unseen", place("salt", strange.id));
    canaries += seat == Seat::canary;
  }
  CHECK(canaries > 150);
  CHECK(canaries < 350);  // 5 of 200
  auto done = live;
  done.rollout.state = State::completed;
  for (int i = 0; i < 100; ++i) CHECK(done.view()->seat("unseen", place("salt", "late-" + std::to_string(i))) == Seat::canary);
}

TEST_CASE("a ladder that is not of the policy is corrupt") {
  Live live;
  auto rollout = live.rollout;
  rollout.policy.stages.pop_back();
  CHECK_FALSE(make_view(rollout, live.ladder).has_value());
  CHECK_FALSE(make_view(live.rollout, std::make_shared<Ladder const>()).has_value());
}

TEST_CASE("of a long history, what is taken back and what was revoked stand apart, the newest first: no decision looks for them among all") {
  std::vector<ViewPtr> views;
  for (std::int64_t n = 1; n <= 12; ++n) {
    Live live(kPolicy, n);
    live.rollout.state = n == 12 ? State::running : n % 4 == 0 ? State::rolled_back : n % 4 == 1 ? State::rolling_back : State::completed;
    if (n % 6 == 0) live.rollout.release_state = "revoked";
    views.push_back(live.view());
  }
  auto const of_model = snapshot_of(views).models.at("m");
  auto const numbers = [](std::vector<ViewPtr> const& list) {
    std::vector<std::int64_t> out;
    for (auto const& view : list) out.push_back(view->rollout.n);
    return out;
  };
  CHECK(numbers(of_model.taken_back) == std::vector<std::int64_t>{9, 8, 5, 4, 1});
  CHECK(numbers(of_model.revoked) == std::vector<std::int64_t>{12, 6});
}

TEST_CASE("who missed its turn is told no attempt below one that it was told before") {
  Live live;
  auto const canary = one_of(live, "install");
  auto completed = live;
  completed.rollout.state = State::completed;
  auto later = live;
  later.rollout.attempt = 3;
  for (auto const state : {ds::kDropped, ds::kLeft}) {
    DeviceRows const rows{{1, row(state, Arm::canary, 2)}};
    CHECK(ask(live, canary, rows).desired.target.attempt == 2);
    CHECK(ask(completed, canary, rows).desired.target.attempt == 2);
    CHECK(ask(later, canary, rows).desired.target.attempt == 3);
  }
}

TEST_CASE("an aborted rollout tells nobody to install who is not known to run it, whatever it had run at an attempt before") {
  Live live;
  auto const canary = one_of(live, "install");
  live.rollout.state = State::aborted;
  auto again = row(ds::kDispatched, Arm::canary, 2);
  again.exposed = true;
  CHECK(said(ask(live, canary, {{1, again}}, "")) == "nothing because no_rollout");
  again.state = ds::kProbation;
  CHECK(said(ask(live, canary, {{1, again}}, "2")) == "install");
}

TEST_CASE("who was told to return with its stratum is not told to install when a person has the rollout go on") {
  Live live;
  auto const canary = one_of(live, "install");
  auto returns = row(ds::kReverting);
  returns.exposed = true;
  CHECK(said(ask(live, canary, {{1, returns}}, "1")) == "nothing because reverting");
  CHECK(said(ask(live, canary, {{1, returns}}, "2")) == "nothing because reverting");
}
