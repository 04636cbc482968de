#include "cli/commands/nouns.hpp"

namespace fleet::cli {

CommandTree const& command_tree() {
  static CommandTree const tree = [] {
    CommandTree all;
    all.nouns = {
        {"context", "servers by name"},
        {"auth", "who the server takes you for"},
        {"token", "tokens of people and CI"},
        {"role", "roles, and what CI systems get them for"},
        {"device", "devices: see, approve, label, retire"},
        {"device token", "tokens that devices join with"},
        {"group", "groups of devices, by name"},
        {"model", "models"},
        {"release", "releases of models: publish, approve, see"},
        {"set", "versions of several models that go together"},
        {"bundle", "releases by file, for devices that no network reaches"},
        {"policy", "how rollouts go"},
        {"rollout", "rollouts: plan, start, watch, stop"},
        {"telemetry", "what devices measured, and what happened"},
        {"cost", "what is stored and sent, and what it comes to"},
        {"node", "the servers of the fleet"},
        {"audit", "who did what"},
        {"trust", "signing keys"},
        {"trust offline", "keys that the server does not have"},
    };
    for (auto const* part : {&context_commands(),   &about_commands(),        &doctor_commands(),       &token_commands(),         &role_commands(),
                             &device_commands(),    &device_collect_commands(), &device_token_commands(), &model_commands(),        &release_commands(),       &publish_commands(),
                             &verify_commands(),    &rollout_commands(),      &rollout_verb_commands(), &simulate_commands(),      &watch_commands(),
                             &telemetry_commands(), &audit_commands(),        &trust_commands(),        &trust_offline_commands(), &raw_commands(),
                             &policy_commands(),    &group_commands(),        &set_commands(),          &release_try_commands(),
                             &bundle_commands(),    &cost_commands(),         &node_commands()})
      all.commands.insert(all.commands.end(), part->begin(), part->end());
    return all;
  }();
  return tree;
}

}  // namespace fleet::cli
