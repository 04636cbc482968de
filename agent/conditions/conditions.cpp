#include "agent/conditions/conditions.hpp"

#include "agent/proof/process.hpp"
#include "agent/conditions/window.hpp"

#include <algorithm>
#include <charconv>

namespace fleet::agent {
namespace {

/// Percent, or nothing where no battery is named or its file cannot be read: then there is nothing to spare.
std::optional<int> battery_percent(Context const& context) {
  if (context.config.battery_file.empty()) return std::nullopt;
  auto const text = context.fs.read(context.config.battery_file, 64);
  int percent = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), percent).ec != std::errc{}) return std::nullopt;
  return percent;
}

/// How often the owner's program is run at most, while something waits for its word or goes on by it.
constexpr Millis kAskAgain{15'000};

}  // namespace

/// By the owner's word or program; one of the threads runs it, the others go by its last word.
bool Conditions::is_metered(std::atomic<bool> const& stop) {
  if (context_.config.metered != "auto") return context_.config.metered == "yes";
  auto const& words = context_.config.metered_command;
  if (words.empty()) return false;
  {
    std::lock_guard const lock(mutex_);
    auto const now = context_.clock.mono();
    if (ask_at_ != MonoTime{} && now < ask_at_) return metered_;
    ask_at_ = now + kAskAgain;
  }
  Command command;
  command.program = words.front();
  command.arguments.assign(words.begin() + 1, words.end());
  command.directory = "/";
  command.exec = context_.config.exec;
  auto const ran = run(command, stop);
  std::lock_guard const lock(mutex_);
  if (!ran && ran.error().code == "interrupted") ask_at_ = {};
  else metered_ = ran && ran->ok();
  return metered_;
}

/// Empty: no window keeps this from going on. `zone`: one may, but this device does not know its time zone.
std::string Conditions::closed_window(wire::DirectiveTarget const& target, std::string_view gate) const {
  std::string why;
  for (auto const& window : target.windows) {
    if (window.gates != gate && window.gates != "both") continue;
    auto const inside = in_window(context_.fs, window, context_.trusted.now());
    if (inside && *inside) return {};
    if (why != "zone") why = inside ? "window" : "zone";
  }
  return why;
}

bool Conditions::is_battery_low(wire::DirectiveTarget const& target) const {
  auto const percent = battery_percent(context_);
  return percent && *percent < target.conditions.battery_min_percent;
}

std::string Conditions::download_blocked(wire::DirectiveTarget const& target, std::uint64_t bytes, std::atomic<bool> const& stop) {
  if (auto why = closed_window(target, "download"); !why.empty()) return why;
  if (is_battery_low(target)) return "battery";
  auto const& rule = target.conditions;
  bool const too_dear =
      rule.metered == "never" || (rule.metered == "avoid" && bytes > static_cast<std::uint64_t>(std::max<std::int64_t>(0, rule.metered_max_bytes)));
  if (too_dear && is_metered(stop)) return "metered";
  return {};
}

std::string Conditions::switch_blocked(wire::DirectiveTarget const& target) const {
  if (auto why = closed_window(target, "switch"); !why.empty()) return why;
  return is_battery_low(target) ? "battery" : "";
}

}  // namespace fleet::agent
