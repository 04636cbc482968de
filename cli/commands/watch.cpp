#include "cli/client/follow.hpp"
#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/args/refs.hpp"
#include "cli/render/json.hpp"
#include "cli/render/screen.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr auto kStates =
    std::to_array<std::string_view>({"draft", "awaiting_approval", "running", "paused", "completed", "rolling_back", "rolled_back", "aborted"});

/// Shows each answer as the session wants it: a picture redrawn in place, a line a change, an object a change.
class Watcher {
public:
  explicit Watcher(Session& session) : session_(&session) {}

  void show(json::value const& rollout) {
    if (session_->format() == Format::jsonl) return show_change(render::json_text(rollout, 0), render::json_text(rollout, 0));
    if (!session_->for_people()) return;
    auto const view = render::read_rollout(rollout);
    if (!session_->redraws()) return show_change(render::change_key(view), render::rollout_line(view, session_->now()));
    auto const window = session_->around().console.window();
    session_->data(screen_.redraw(render::rollout_frame(view, session_->now(), window, session_->paper().color), window));
  }

  /// What programs want at the end, and people: which devices failed, and of what.
  void finish(json::value const& rollout) {
    if (session_->for_people())
      for (auto const& line : failures_of(*session_, rollout)) session_->data(line + "\n");
    if (session_->format() == Format::json || session_->format() == Format::name) static_cast<void>(show_object(*session_, rollout, rollout_shape()));
  }

private:
  void show_change(std::string const& key, std::string const& line) {
    if (key == last_) return;
    last_ = key;
    session_->data(line + "\n");
  }

  Session* session_;
  render::Screen screen_;
  std::string last_;
};

Result<int> watch(Session& session, Arguments const& arguments) {
  Watcher watcher(session);
  auto const fail_on_pause = arguments.flag("fail-on-pause");
  return follow_rollout(session, arguments.text("ID"), session.timeout(), [&](json::value const& rollout) {
    watcher.show(rollout);
    auto const exit = ended(render::text_at(rollout, "state"), fail_on_pause);
    if (exit) watcher.finish(rollout);
    return exit;
  });
}

/// What `wait --for` waits for.
struct Goal {
  std::string state;
  std::int64_t stage = 0;  ///< not 0: until this stage has passed
  [[nodiscard]] bool reached(json::value const& rollout) const {
    auto const now = render::text_at(rollout, "state");
    if (stage == 0) return now == state;
    bool const is_there = static_cast<double>(stage) <= render::number_at(rollout, "stage.of");
    return (now == "completed" && is_there) || render::number_at(rollout, "stage.index") > static_cast<double>(stage);
  }
};

Result<Goal> parse_goal(std::string const& text) {
  constexpr std::string_view kStage = "stage=";
  if (text.starts_with(kStage)) {
    FLEET_TRY(auto const stage, parse_count("--for stage", text.substr(kStage.size()), 1));
    return Goal{"", stage};
  }
  if (std::find(kStates.begin(), kStates.end(), text) != kStates.end()) return Goal{text, 0};
  return Error{Kind::bad_input, "bad_argument", fmt::format("--for: expected stage=N or one of {}, got `{}`", fmt::join(kStates, ", "), text)};
}

Result<int> wait(Session& session, Arguments const& arguments) {
  auto const id = arguments.text("ID");
  FLEET_TRY(auto const goal, parse_goal(arguments.text("for", "completed")));
  auto const fail_on_pause = arguments.flag("fail-on-pause");
  return follow_rollout(session, id, session.timeout(), [&](json::value const& rollout) -> std::optional<int> {
    auto const state = render::text_at(rollout, "state");
    auto exit = goal.reached(rollout) ? std::optional<int>(0) : ended(state, fail_on_pause);
    if (exit == 0 && !goal.reached(rollout)) exit = 1;  // it completed, and will not come to what was waited for
    if (!exit) return exit;
    static_cast<void>(
        show_done(session, rollout, rollout_shape(), render::safe_text(fmt::format("rollout {} is {}: {}", id, state, render::text_at(rollout, "verdict.reason")))));
    if (session.for_people())
      for (auto const& line : failures_of(session, rollout)) session.say(line);
    return exit;
  });
}

}  // namespace

std::vector<Command> const& watch_commands() {
  using enum Option::Kind;
  static Option const id{argument, "ID", "", "the rollout"};
  static Option const pause{flag, "--fail-on-pause", "", "end with 9 when it waits for a person"};
  static std::vector<Command> const rows{
      {"rollout watch",
       "follow a rollout to its end; exit 0 completed, 5 rolled back or aborted",
       "rollout watch r_01J\nrollout watch r_01J -o jsonl | jq .counts",
       watch,
       {id, pause}},
      {"rollout wait",
       "wait for a state or a passed stage, without a picture",
       "rollout wait r_01J --timeout 6h --fail-on-pause\nrollout wait r_01J --for stage=1",
       wait,
       {id, {value, "--for", "STATE|stage=N", "a state (default completed), or stage N has passed"}, pause}},
  };
  return rows;
}

}  // namespace fleet::cli
