#include "cli/render/rollout.hpp"

#include "cli/render/text.hpp"

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

using namespace fleet;
using namespace fleet::render;

namespace {

constexpr std::string_view kRollout = R"({"id":"ro_1","model":"reader","version":"2.0.0","selector":"site=lab","state":"running",
  "policy":{"stages":[{"percent":10},{"percent":50},{"devices":40}]},
  "stage":{"index":2,"of":3,"percent":50,"state":"baking","deadline":"2026-11-20T12:00:00Z"},
  "counts":{"targeted":40,"exposed":18,"healthy":10,"failed":1,"silent":0,"waiting":2,"offline":1},
  "verdict":{"decision":"hold","reason":"1 of 18 failed, 10 healthy","gates":[{"name":"accuracy","test":"harm","decision":"hold","text":"accuracy: 1 of 18 devices have a mean below 0.9; at most 2 % are allowed","e_value":1.5,"threshold":250}]},
  "created_at":"2026-11-20T09:30:00Z"})";

RolloutView view_of(std::string_view text = kRollout) { return read_rollout(boost::json::parse(text)); }

SysTime now() { return *parse_rfc3339("2026-11-20T10:00:00Z"); }

std::string all(std::vector<std::string> const& lines) {
  std::string out;
  for (auto const& line : lines) out += line + "\n";
  return out;
}

}  // namespace

TEST_CASE("bars show what is done, begun and left") {
  CHECK(bar(0, 0, 10, 5) == "░░░░░");
  CHECK(bar(5, 5, 10, 10) == "█████░░░░░");
  CHECK(bar(2, 6, 10, 10) == "██▒▒▒▒░░░░");
  CHECK(bar(1, 1, 1000, 5) == "█░░░░");  // a little is never nothing
  CHECK(bar(20, 30, 10, 4) == "████");   // more than planned stays in its frame
  CHECK(bar(3, 3, 0, 4) == "░░░░");
}

TEST_CASE("a rollout is read from what the API sends") {
  auto const view = view_of();
  CHECK(view.release == "reader@2.0.0");
  REQUIRE(view.stages.size() == 3);
  CHECK(view.stages[0].label == "10%");
  CHECK(view.stages[0].devices == 4);
  CHECK(view.stages[2].label == "40 devices");
  CHECK(view.count("healthy") == 10);
  CHECK(view.count("of no such name") == 0);
  CHECK(view.gates.at(0).e_value == "1.5");
}

TEST_CASE("an object with nothing in it still gives a picture") {
  auto const lines = rollout_frame(view_of("{}"), now(), {80, 24}, false);
  CHECK(lines.size() >= 2);
  CHECK(rollout_line(view_of("null"), now()).find("targeted=0") != std::string::npos);
}

TEST_CASE("the picture names release, stages, counts, verdict and gates") {
  auto const text = all(rollout_frame(view_of(), now(), {110, 24}, false));
  CAPTURE(text);
  for (auto const* part : {"ro_1  reader@2.0.0  running", "on site=lab", "created 30m ago", "stage 1/3", "passed", "baking, deadline in 2h", "healthy 10",
                           "failed 1", "waiting 2", "verdict  hold: 1 of 18 failed", "ok    accuracy: 1 of 18 devices have a mean below 0.9"})
    CHECK_MESSAGE(text.find(part) != std::string::npos, part);
  CHECK(text.find("silent") == std::string::npos);
}

TEST_CASE("numbers of gates are for who asks for them") {
  CHECK(all(rollout_frame(view_of(), now(), {110, 24}, false)).find("e-value") == std::string::npos);
  CHECK(all(rollout_frame(view_of(), now(), {140, 24}, false, true)).find("(e-value 1.5 of 250)") != std::string::npos);
}

TEST_CASE("one word says what a gate does now") {
  RolloutView::Gate gate{"failures", "harm", "rollback", "failures: 8 of 8 failed", "9", "3"};
  CHECK(gate_line(gate) == "harm  failures: 8 of 8 failed");
  gate.decision = "pause";
  CHECK(gate_line(gate) == "stop  failures: 8 of 8 failed");
  gate.test = "safe";
  gate.decision = "hold";
  CHECK(gate_line(gate) == "wait  failures: 8 of 8 failed");
  gate.decision = "promote";
  CHECK(gate_line(gate) == "ok    failures: 8 of 8 failed");
  gate.text.clear();
  CHECK(gate_line(gate) == "ok    failures: promote");
}

TEST_CASE("the picture fits every window") {
  for (std::size_t const width : {20U, 40U, 60U, 80U, 200U})
    for (std::size_t const height : {4U, 6U, 8U, 24U}) {
      CAPTURE(width);
      CAPTURE(height);
      auto const lines = rollout_frame(view_of(), now(), {width, height}, false);
      CHECK(lines.size() < height);
      for (auto const& line : lines) CHECK(display_width(line) <= width);
    }
}

TEST_CASE("a low window keeps the stage under way") {
  auto const text = all(rollout_frame(view_of(), now(), {80, 5}, false));
  CHECK(text.find("stage 2/3") != std::string::npos);
  CHECK(text.find("stage 3/3") == std::string::npos);
}

TEST_CASE("a completed rollout has only passed stages") {
  auto view = view_of();
  view.state = "completed";
  auto const text = all(rollout_frame(view, now(), {80, 24}, false));
  CHECK(text.find("░") == std::string::npos);
}

TEST_CASE("words of a verdict cannot steer the terminal") {
  auto view = view_of();
  view.reason = "\x1b[2Jgone\nsecond line";
  for (auto const& line : rollout_frame(view, now(), {100, 24}, false)) CHECK(line.find_first_of("\x1b\n") == std::string::npos);
}

TEST_CASE("a log line tells everything once") {
  CHECK(rollout_line(view_of(), now()) ==
        "2026-11-20T10:00:00Z ro_1 reader@2.0.0 running stage=2/3 baking targeted=40 exposed=18 healthy=10 failed=1 waiting=2 offline=1"
        " verdict=hold: 1 of 18 failed, 10 healthy");
}

TEST_CASE("a line is due when the state, the stage, the verdict or the harm changed") {
  auto const before = view_of();
  auto after = before;
  after.counts["healthy"] = 11;
  after.reason = "1 of 18 failed, 11 healthy";
  CHECK(change_key(before) == change_key(after));
  after.counts["failed"] = 2;
  CHECK(change_key(before) != change_key(after));
  after = before;
  after.stage_state = "dispatching";
  CHECK(change_key(before) != change_key(after));
  after = before;
  after.decision = "promote";
  CHECK(change_key(before) != change_key(after));
}
