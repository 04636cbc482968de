#pragma once

#include "cli/args/command.hpp"

#include <vector>

/// The rows of each file of commands; `command_tree()` joins them.
namespace fleet::cli {

[[nodiscard]] std::vector<Command> const& context_commands();
[[nodiscard]] std::vector<Command> const& about_commands();
[[nodiscard]] std::vector<Command> const& doctor_commands();
[[nodiscard]] std::vector<Command> const& token_commands();
[[nodiscard]] std::vector<Command> const& role_commands();
[[nodiscard]] std::vector<Command> const& device_commands();
[[nodiscard]] std::vector<Command> const& device_collect_commands();
[[nodiscard]] std::vector<Command> const& device_token_commands();
[[nodiscard]] std::vector<Command> const& model_commands();
[[nodiscard]] std::vector<Command> const& group_commands();
[[nodiscard]] std::vector<Command> const& release_commands();
[[nodiscard]] std::vector<Command> const& publish_commands();
[[nodiscard]] std::vector<Command> const& release_try_commands();
[[nodiscard]] std::vector<Command> const& set_commands();
[[nodiscard]] std::vector<Command> const& bundle_commands();
[[nodiscard]] std::vector<Command> const& verify_commands();
[[nodiscard]] std::vector<Command> const& policy_commands();
[[nodiscard]] std::vector<Command> const& rollout_commands();
[[nodiscard]] std::vector<Command> const& rollout_verb_commands();
[[nodiscard]] std::vector<Command> const& simulate_commands();
[[nodiscard]] std::vector<Command> const& watch_commands();
[[nodiscard]] std::vector<Command> const& telemetry_commands();
[[nodiscard]] std::vector<Command> const& audit_commands();
[[nodiscard]] std::vector<Command> const& trust_commands();
[[nodiscard]] std::vector<Command> const& trust_offline_commands();
[[nodiscard]] std::vector<Command> const& cost_commands();
[[nodiscard]] std::vector<Command> const& node_commands();
[[nodiscard]] std::vector<Command> const& raw_commands();

[[nodiscard]] CommandTree const& command_tree();

}  // namespace fleet::cli
