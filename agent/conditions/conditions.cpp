#include "agent/conditions/conditions.hpp"

#include "agent/proof/process.hpp"
#include "agent/conditions/zone.hpp"
#include "core/base/log.hpp"

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

bool is_metered(Context const& context) {
  if (context.config.metered != "auto") return context.config.metered == "yes";
  auto const& words = context.config.metered_command;
  if (words.empty()) return false;
  Command command;
  command.program = words.front();
  command.arguments.assign(words.begin() + 1, words.end());
  command.directory = "/";
  command.run_as = context.config.run_as;
  auto const ran = run(command, context.stop);
  return ran && ran->ok();
}

bool in_any_window(Context const& context, wire::DirectiveTarget const& target, std::string_view gate) {
  bool gated = false;
  for (auto const& window : target.windows) {
    if (window.gates != gate && window.gates != "both") continue;
    gated = true;
    auto const inside = in_window(context.fs, window, context.trusted.now());
    if (!inside) log::warn("window.unusable", {{"zone", window.zone}, {"error", inside.error().detail}});
    if (inside && *inside) return true;
  }
  return !gated;
}

}  // namespace

std::string download_blocked(Context const& context, wire::DirectiveTarget const& target, std::uint64_t bytes) {
  if (!in_any_window(context, target, "download")) return "window";
  auto const& rule = target.conditions;
  bool const too_dear =
      rule.metered == "never" || (rule.metered == "avoid" && bytes > static_cast<std::uint64_t>(std::max<std::int64_t>(0, rule.metered_max_bytes)));
  if (too_dear && is_metered(context)) return "metered";
  return {};
}

std::string switch_blocked(Context const& context, wire::DirectiveTarget const& target) {
  if (!in_any_window(context, target, "switch")) return "window";
  auto const percent = battery_percent(context);
  if (percent && *percent < target.conditions.battery_min_percent) return "battery";
  return {};
}

}  // namespace fleet::agent
