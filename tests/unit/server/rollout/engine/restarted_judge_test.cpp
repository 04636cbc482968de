#include "server/rollout/engine/rows.hpp"
#include "server/rollout/engine/step.hpp"
#include "server/rollout/engine/verdict_json.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

using namespace fleet;
using namespace fleet::rollout;
namespace ds = fleet::rollout::device_state;

namespace {

/// A device of a made-up fleet, as its row has it.
struct Device {
  std::string stratum;
  std::int64_t place = 0;
  bool told = false;
  Arm arm = Arm::canary;
  int window = 0;
  std::string_view state = ds::kDispatched, outcome = {}, kind = row_kind::kPlain;
  bool exposed = false;
};

/// A process that judges: what it keeps, and how it comes to what it knows.
struct Judge {
  Progress progress;
  Latches latches;
  Facts facts;  ///< kept by who runs on; counted anew by who has just started
};

/// What of the fleet nobody controls, and what people do, drawn from a seed.
struct World {
  Policy policy;
  Ladder ladder;
  std::vector<Device> devices;
  std::mt19937_64 dice;
  State state = State::running;
  int stage = 1;
  bool full = false;
  std::int64_t approvals = 0;
  Millis now{0};
  double base = 0, harm = 0;
  Judge on, anew;

  World(std::string const& json, std::uint64_t seed) : policy(*decode_policy(json)), dice(seed) {
    Places places;
    for (int i = 0; i < 400; ++i) {
      Device device;
      device.stratum = i % 3 == 0 ? "cam-b" : "cam-a";
      device.place = place("seed " + std::to_string(seed), "device-" + std::to_string(i));
      places[device.stratum].push_back(device.place);
      devices.push_back(device);
    }
    ladder = make_ladder(policy.stages, policy.holdback, places);
    base = chance() < .5 ? 0 : .04;
    harm = chance() < .6 ? 0 : .4;
  }
  double chance() { return static_cast<double>(dice() >> 11) / 9007199254740992.; }

  [[nodiscard]] static CountKey key_of(Device const& device) {
    return {device.stratum, device.arm, device.window, device.state, device.outcome, device.exposed, device.kind};
  }
  void put(Device const& device, std::int64_t devices_more) {
    if (device.told) count(on.facts, key_of(device), devices_more, on.progress.window);
  }
  void change(Device& device, std::string_view to, bool exposed, bool starts, std::string_view kind = row_kind::kPlain) {
    put(device, -1);
    device.state = to;
    device.outcome = outcome_after(device.outcome, to);
    device.exposed = device.exposed || exposed;
    if (device.kind.empty()) device.kind = kind;
    if (starts && device.window == 0) device.window = on.progress.current();
    put(device, 1);
  }
  void tell(Device& device, Arm arm) {
    put(device, -1);
    device.told = true;
    device.arm = arm;
    device.window = 0;
    device.state = ds::kDispatched;
    device.outcome = {};
    device.kind = row_kind::kPlain;
    put(device, 1);
  }
  void come_out(Device& device, bool storm) {
    auto const bad = storm ? .5 : base + (device.arm == Arm::canary ? harm : 0);
    bool const canary = device.arm == Arm::canary;
    if (chance() < .01) return change(device, ds::kLeft, false, false);
    if (chance() < .02) return change(device, ds::kSilent, false, false);
    if (chance() < bad) return change(device, ds::kFailed, false, false, canary && chance() < .1 ? row_kind::kGolden : row_kind::kPlain);
    change(device, ds::kHealthy, canary, false);
  }
  /// Devices live for a while.
  void live() {
    bool const storm = chance() < .05;
    auto const& progress = on.progress;
    for (auto& device : devices) {
      bool const canary = is_member(device.place, ladder.threshold(progress.canaries, device.stratum));
      bool const control = !canary && is_member(device.place, ladder.threshold(progress.controls, device.stratum));
      if (chance() < .4) continue;
      if (ds::is_undecided(device.state) && device.told) {
        if (device.window == 0) change(device, ds::kProbation, device.arm == Arm::canary, true);
        else come_out(device, storm);
      } else if (state == State::running && canary && (!device.told || device.arm != Arm::canary)) {
        tell(device, Arm::canary);
      } else if (state == State::running && control && !progress.shut && !progress.judged && (!device.told || device.window < progress.window)) {
        tell(device, Arm::control);
      }
    }
  }
  /// What a person may do between two looks; both judges hear of it alike.
  void people() {
    auto const both = [&](auto const& act) {
      act(on);
      act(anew);
    };
    if (state == State::paused && chance() < .5) {
      state = State::running;
      both([](Judge& judge) {
        judge.progress = accept(judge.progress);
        judge.progress.stage_since.reset();
        judge.latches.clear();
      });
    } else if (state == State::awaiting_approval) {
      state = State::running;
      ++stage;
      approvals = 1;
    } else if (state == State::running && stage < policy.stage_count() && chance() < .02) {
      ++stage;  // promote
    } else if (state == State::running && chance() < .005) {
      full = true;
      stage = policy.stage_count();
    }
  }
  Verdict look_as(Judge& judge) {
    Standing standing;
    standing.state = state;
    standing.stage = stage;
    standing.full = full;
    standing.latches = judge.latches;
    standing.approvals = approvals;
    auto stepped = step({policy, ladder}, judge.progress, {now, std::move(standing), judge.facts});
    judge.progress = std::move(stepped.progress);
    judge.latches = stepped.verdict.latches;
    return std::move(stepped.verdict);
  }
  [[nodiscard]] Facts counted(Progress const& progress) const {
    std::map<std::tuple<std::string, Arm, int, std::string_view, std::string_view, bool, std::string_view>, std::int64_t> rows;
    for (auto const& d : devices)
      if (d.told) ++rows[{d.stratum, d.arm, d.window, d.state, d.outcome, d.exposed, d.kind}];
    Facts out;
    for (auto const& [key, n] : rows) {
      auto const& [stratum, arm, window, row_state, outcome, exposed, kind] = key;
      count(out, {stratum, arm, window, row_state, outcome, exposed, kind}, n, progress.window);
    }
    return out;
  }
  void restart() {
    anew.progress = *decode_progress(encode(anew.progress));
    anew.latches = decode_latches(encode_latches(anew.latches));
    anew.facts = counted(anew.progress);
  }
};

std::string text_of(Verdict const& verdict) {
  auto out = std::string(to_string(verdict.decision)) + "|" + verdict.reason + "|" + verdict.step + "|" + (verdict.event ? std::string(to_string(*verdict.event)) : "");
  for (bool const flag : {verdict.begin, verdict.start_bake, verdict.told_anew, verdict.closed_window, verdict.entered}) out += flag ? '1' : '0';
  if (verdict.look_at) out += std::to_string(verdict.look_at->count());
  return out;
}

void check_alike(Verdict const& on, Verdict const& anew) {
  CHECK(text_of(on) == text_of(anew));
  REQUIRE(on.gates.size() == anew.gates.size());
  for (std::size_t i = 0; i < on.gates.size(); ++i) {
    CHECK(on.gates[i].name == anew.gates[i].name);
    CHECK(on.gates[i].text == anew.gates[i].text);
    CHECK(on.gates[i].decision == anew.gates[i].decision);
    CHECK(on.gates[i].e_value == anew.gates[i].e_value);  // to the last bit
    CHECK(on.gates[i].threshold == anew.gates[i].threshold);
    CHECK(on.gates[i].evidence == anew.gates[i].evidence);
  }
  REQUIRE(on.latches.size() == anew.latches.size());
  for (auto const& [gate, latch] : on.latches) {
    CHECK(anew.latches.at(gate).bad == latch.bad);
    CHECK(anew.latches.at(gate).accepted == latch.accepted);
  }
}

std::vector<std::string> const kPolicies{
    R"({"stages":[{"devices":20,"window":5,"cap":80,"deadline":"10h"},{"devices":120,"window":20,"bake":"1h"},{"percent":100,"window":40,"grow":2}],
      "gates":{"failures":{"max_odds_ratio":[8,5]},"silent":{},"absolute":[{"metric":"agent.install_failure","devices_max":"30%"}],"certify":{"devices_max":["30%","20%"]}}})",
    R"({"stages":[{"percent":10,"window":10,"every":"2h","cap":"40%","deadline":"3d"},{"percent":100,"window":20,"every":"2h","grow":2}],"gates":{"failures":{},"silent":{}},
      "on_harm":"pause","approvals":{"required":1,"before_stage":2}})",
    R"({"stages":[{"percent":10,"bake":"2h"},{"percent":50},{"percent":100}],"gates":{"silent":{},"absolute":[{"metric":"agent.install_failure","devices_max":"10%"}],
      "certify":{"devices_max":["60%","20%","15%"]}},"on_deadline":"rollback"})"};

}  // namespace

TEST_CASE("a judge that starts anew before every look judges exactly as one that runs on") {
  std::map<std::string, int> events;
  for (auto const& policy : kPolicies)
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      CAPTURE(policy);
      CAPTURE(seed);
      World world(policy, seed);
      bool goes_on = true;
      for (int look = 0; look < 400 && goes_on; ++look) {
        CAPTURE(look);
        world.live();
        world.people();
        world.now += Millis(static_cast<std::int64_t>(world.chance() * 3'600'000));
        world.restart();
        auto const before = world.on.progress;
        bool const may = may_move({world.policy, world.ladder}, before, {world.now, {world.state, world.stage}, world.on.facts});
        auto const on = world.look_as(world.on), anew = world.look_as(world.anew);
        check_alike(on, anew);
        CHECK(world.on.progress == world.anew.progress);
        if (!may && !on.entered && !on.event) CHECK(world.on.progress == before);  // nothing was missed by not looking
        if (world.on.progress.window != before.window) world.on.facts = world.counted(world.on.progress);
        if (!on.event) continue;
        ++events[std::string(to_string(*on.event))];
        world.state = *next_state(world.state, *on.event);
        if (*on.event == Event::widen) ++world.stage;
        goes_on = world.state == State::running || world.state == State::paused || world.state == State::awaiting_approval;
      }
    }
  for (auto const* const event : {"widen", "complete", "roll_back", "pause", "ask_approval"}) CHECK_MESSAGE(events[event] > 0, event);
}
