#include "cli/render/rollout.hpp"

#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace fleet::render {
namespace json = boost::json;
namespace {

// In the order people ask for them. Those marked are told only when they are not zero.
struct Count {
  std::string_view name;
  bool only_if_any;
  Tone tone;
};
constexpr auto kCounts = std::to_array<Count>({
    {"targeted", false, Tone::plain},
    {"holdback", true, Tone::dim},
    {"controls", true, Tone::dim},
    {"exposed", false, Tone::plain},
    {"healthy", false, Tone::good},
    {"failed", false, Tone::bad},
    {"recovered", true, Tone::good},
    {"silent", true, Tone::bad},
    {"waiting", true, Tone::warn},
    {"offline", true, Tone::dim},
    {"ineligible", true, Tone::dim},
    {"blocked", true, Tone::warn},
    {"reverted", true, Tone::warn},
    {"left", true, Tone::dim},
});

std::int64_t integer_at(json::value const& value, std::string_view path) { return static_cast<std::int64_t>(std::llround(number_at(value, path))); }

std::optional<SysTime> time_at(json::value const& value, std::string_view path) {
  auto const parsed = parse_rfc3339(text_at(value, path));
  return parsed ? std::optional<SysTime>(*parsed) : std::nullopt;
}

RolloutView::Stage read_stage(json::value const& stage, std::int64_t targeted) {
  if (auto const devices = integer_at(stage, "devices"); devices > 0) return {fmt::format("{} devices", devices), devices};
  auto const percent = number_at(stage, "percent", 100);
  return {fmt::format("{}%", percent), static_cast<std::int64_t>(std::ceil(static_cast<double>(targeted) * percent / 100))};
}

std::string counts_text(RolloutView const& view, bool color) {
  std::string out;
  for (auto const& c : kCounts) {
    auto const n = view.count(std::string(c.name));
    if (c.only_if_any && n == 0) continue;
    out += (out.empty() ? "" : "  ") + painted(fmt::format("{} {}", c.name, n), n == 0 ? Tone::plain : c.tone, color);
  }
  return out;
}

std::string counts_line(RolloutView const& view) {
  std::string out;
  for (auto const& c : kCounts)
    if (auto const n = view.count(std::string(c.name)); n != 0 || !c.only_if_any) out += fmt::format(" {}={}", c.name, n);
  return out;
}

bool passed(RolloutView const& view, std::size_t number) { return view.state == "completed" || static_cast<std::int64_t>(number) < view.stage; }

std::string stage_words(RolloutView const& view, std::size_t number, SysTime now) {
  if (passed(view, number)) return "passed";
  if (static_cast<std::int64_t>(number) != view.stage) return "";
  auto words = view.state == "running" ? view.stage_state : view.state;
  if (view.state == "running" && view.deadline) words += ", deadline " + relative(*view.deadline, now);
  return words;
}

std::string stage_line(RolloutView const& view, std::size_t number, SysTime now, Window window, bool color) {
  auto const& stage = view.stages[number - 1];
  auto const mine = static_cast<std::int64_t>(number) == view.stage;
  auto const width = std::clamp<std::size_t>(window.width / 3, 8, 40);
  auto const drawn = passed(view, number) ? bar(1, 1, 1, width)
                     : mine               ? bar(view.count("healthy"), view.count("exposed"), stage.devices, width)
                                          : bar(0, 0, 1, width);
  auto const words = stage_words(view, number, now);
  auto const tone = passed(view, number) ? Tone::good : mine ? tone_of(view.state) : Tone::dim;
  auto const head = fmt::format("stage {}/{}  {}  ", number, view.stages.size(), pad(stage.label, 11, true));
  auto const room = window.width > display_width(head) + width ? window.width - display_width(head) - width : 0;
  if (room == 0) return clip(head + drawn, window.width);
  return head + painted(drawn, tone, color) + (words.empty() ? "" : clip("  " + words, room));
}

/// Which stages are shown when only `room` lines are left: those around the one under way.
std::pair<std::size_t, std::size_t> shown_stages(RolloutView const& view, std::size_t room) {
  auto const all = view.stages.size();
  if (all <= room) return {0, all};
  auto const current = view.stage > 0 ? static_cast<std::size_t>(view.stage - 1) : 0;
  auto const first = std::min(current > room / 2 ? current - room / 2 : 0, all - room);
  return {first, first + room};
}

/// One word for what the gate does now.
std::string_view gate_word(RolloutView::Gate const& gate) {
  if (gate.decision == "promote") return gate.test == "win" ? "won" : "ok";
  if (gate.decision == "rollback") return "harm";
  if (gate.decision == "pause") return "stop";
  return gate.test == "safe" ? "wait" : "ok";
}

std::vector<std::string> gate_lines(RolloutView const& view, Window window, bool color, bool numbers) {
  std::vector<std::string> lines;
  for (auto const& gate : view.gates) {
    auto const weighs = numbers ? gate_numbers(gate) : std::string();
    auto const text = clip(safe_text("  " + gate_line(gate) + (weighs.empty() ? "" : " (" + weighs + ")")), window.width);
    lines.push_back(painted(text, tone_of(gate.decision), color));
  }
  return lines;
}

}  // namespace

std::int64_t RolloutView::count(std::string const& name) const {
  auto const at = counts.find(name);
  return at == counts.end() ? 0 : at->second;
}

RolloutView read_rollout(json::value const& rollout) {
  RolloutView view;
  view.id = text_at(rollout, "id");
  view.release = text_at(rollout, "model") + "@" + text_at(rollout, "version");
  view.selector = text_at(rollout, "selector");
  view.state = text_at(rollout, "state");
  view.stage = integer_at(rollout, "stage.index");
  view.stages_of = integer_at(rollout, "stage.of");
  view.stage_state = text_at(rollout, "stage.state");
  view.deadline = time_at(rollout, "stage.deadline");
  view.created_at = time_at(rollout, "created_at");
  view.decision = text_at(rollout, "verdict.decision");
  view.reason = text_at(rollout, "verdict.reason");
  for (auto const& c : kCounts) view.counts[std::string(c.name)] = integer_at(rollout, "counts." + std::string(c.name));
  if (auto const* stages = member(rollout, "policy.stages").if_array())
    for (auto const& stage : *stages) view.stages.push_back(read_stage(stage, view.count("targeted")));
  // The server's count is exact to the stratum; what is computed here stands in for it.
  if (auto const devices = integer_at(rollout, "stage.devices"); devices > 0 && view.stage > 0 && static_cast<std::size_t>(view.stage) <= view.stages.size())
    view.stages[static_cast<std::size_t>(view.stage - 1)].devices = devices;
  if (auto const* gates = member(rollout, "verdict.gates").if_array())
    for (auto const& gate : *gates)
      view.gates.push_back(read_gate(gate));
  return view;
}

RolloutView::Gate read_gate(json::value const& gate) {
  return {text_at(gate, "name"), text_at(gate, "test"), text_at(gate, "decision"), text_at(gate, "text"), short_number_at(gate, "e_value"), short_number_at(gate, "threshold")};
}

std::string gate_line(RolloutView::Gate const& gate) {
  auto const told = gate.text.empty() ? gate.name + ": " + gate.decision : gate.text;
  return fmt::format("{:<4}  {}", gate_word(gate), told);
}

std::string gate_numbers(RolloutView::Gate const& gate) {
  if (gate.e_value.empty()) return {};
  return fmt::format("{} {} of {}", gate.name.starts_with("coverage") || gate.name == "min_devices" ? "has" : "e-value", gate.e_value, gate.threshold);
}

std::string bar(std::int64_t done, std::int64_t begun, std::int64_t of, std::size_t width) {
  auto const columns = [&](std::int64_t part) {
    if (of <= 0 || part <= 0) return std::size_t{0};
    auto const share = std::min(1.0, static_cast<double>(part) / static_cast<double>(of));
    return std::min(width, std::max<std::size_t>(1, static_cast<std::size_t>(share * static_cast<double>(width))));
  };
  auto const full = columns(done);
  auto const half = std::max(full, columns(begun));
  std::string out;
  for (std::size_t i = 0; i < width; ++i) out += i < full ? "█" : i < half ? "▒" : "░";
  return out;
}

std::vector<std::string> rollout_frame(RolloutView const& view, SysTime now, Window window, bool color, bool numbers) {
  auto const height = std::max<std::size_t>(window.height, 4) - 1;
  auto const on = view.selector.empty() ? "all devices" : view.selector;
  auto const age = view.created_at ? ", created " + relative(*view.created_at, now) : "";
  auto const lead = safe_text(view.id + "  " + view.release + "  ");
  auto const room = window.width > display_width(lead) ? window.width - display_width(lead) : 0;
  auto const state = clip(view.state, room);
  auto const rest = clip(safe_text("  on " + on + age), room - display_width(state));
  std::vector<std::string> head{clip(lead, window.width) + painted(state, tone_of(view.state), color) + rest};

  auto plain = counts_text(view, false);
  std::vector<std::string> tail{display_width(plain) <= window.width ? counts_text(view, color) : clip(plain, window.width)};
  if (!view.decision.empty()) {
    auto const words = clip(safe_text(view.decision + (view.reason.empty() ? "" : ": " + view.reason)), window.width - std::min<std::size_t>(window.width, 9));
    tail.push_back(clip("verdict  ", window.width) + painted(words, tone_of(view.decision), color));
  }
  auto const left = height - std::min(height, head.size() + tail.size());
  auto const [first, last] = shown_stages(view, left);
  for (auto i = first; i < last; ++i) head.push_back(stage_line(view, i + 1, now, window, color));
  head.insert(head.end(), tail.begin(), tail.end());
  for (auto const& line : gate_lines(view, window, color, numbers))
    if (head.size() < height) head.push_back(line);
  head.resize(std::min(head.size(), height));
  return head;
}

std::string rollout_line(RolloutView const& view, SysTime now) {
  auto out = fmt::format("{} {} {} {}", to_rfc3339(now), view.id, view.release, view.state);
  if (view.stage > 0) out += fmt::format(" stage={}/{} {}", view.stage, view.stages_of, view.stage_state);
  out += counts_line(view);
  if (!view.decision.empty()) out += " verdict=" + view.decision + (view.reason.empty() ? "" : ": " + view.reason);
  return safe_text(out);
}

std::string change_key(RolloutView const& view) {
  return fmt::format("{}|{}|{}|{}|{}|{}", view.state, view.stage, view.stage_state, view.decision, view.count("failed"), view.count("silent"));
}

}  // namespace fleet::render
