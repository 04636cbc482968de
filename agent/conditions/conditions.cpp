#include "agent/conditions/conditions.hpp"

#include "agent/conditions/window.hpp"
#include "core/proof/process.hpp"

#include <algorithm>

namespace fleet::agent {
namespace {

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
  proof::Command command;
  command.program = words.front();
  command.arguments.assign(words.begin() + 1, words.end());
  command.directory = "/";
  command.exec = context_.config.exec;
  auto const ran = context_.outside.run(command, context_.waits, stop);
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

/// By what this device can tell of itself; what it cannot tell keeps nothing back.
std::string Conditions::state_blocks(wire::Conditions const& rule, std::uint64_t bytes) const {
  Sensors const sensors(context_);
  if (rule.battery_min_percent > 0)
    if (auto const percent = sensors.battery(); percent && *percent < rule.battery_min_percent) return "battery";
  if (rule.charging)
    if (auto const charging = sensors.is_charging(); charging && !*charging) return "charging";
  if (rule.temperature_max)
    if (auto const degrees = sensors.temperature(); degrees && *degrees > *rule.temperature_max) return "temperature";
  if (rule.load_max)
    if (auto const load = sensors.load(); load && *load > *rule.load_max) return "load";
  auto const is_less = [](std::optional<std::uint64_t> there, std::uint64_t wanted) { return there && *there < wanted; };
  if (rule.memory_free_min > 0 && is_less(sensors.memory_free(), static_cast<std::uint64_t>(rule.memory_free_min))) return "memory";
  if (rule.disk_free_min > 0 && is_less(sensors.disk_free(), static_cast<std::uint64_t>(rule.disk_free_min) + bytes)) return "disk";
  return {};
}

std::string Conditions::download_blocked(wire::DirectiveTarget const& target, Need const& need, std::atomic<bool> const& stop) {
  if (auto why = closed_window(target, "download"); !why.empty()) return why;
  auto const& rule = target.conditions;
  if (auto why = state_blocks(rule, need.write); !why.empty()) return why;
  bool const too_dear =
      rule.metered == "never" || (rule.metered == "avoid" && need.fetch > static_cast<std::uint64_t>(std::max<std::int64_t>(0, rule.metered_max_bytes)));
  if (too_dear && is_metered(stop)) return "metered";
  return {};
}

bool Conditions::lacks_memory(std::uint64_t bytes) const {
  auto const free = bytes > 0 ? Sensors(context_).memory_free() : std::nullopt;
  return free && *free < bytes;
}

std::string Conditions::switch_blocked(wire::DirectiveTarget const& target) const {
  if (auto why = closed_window(target, "switch"); !why.empty()) return why;
  return state_blocks(target.conditions, 0);
}

}  // namespace fleet::agent
