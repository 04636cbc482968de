#include "cli/commands/command.hpp"

#include "cli/commands/nouns.hpp"

namespace fleet::commands {

std::string_view Option::key() const {
  auto key = name.substr(name.rfind(',') == std::string_view::npos ? 0 : name.rfind(',') + 1);
  while (key.starts_with('-')) key.remove_prefix(1);
  return key;
}

bool Arguments::has(std::string_view key) const { return values_.contains(key); }

std::string Arguments::text(std::string_view key, std::string_view fallback) const {
  auto const at = values_.find(key);
  return at == values_.end() || at->second.empty() ? std::string(fallback) : at->second.back();
}

std::vector<std::string> const& Arguments::texts(std::string_view key) const {
  static std::vector<std::string> const none;
  auto const at = values_.find(key);
  return at == values_.end() ? none : at->second;
}

std::vector<Option> options_of(Command const& command) {
  auto options = command.options;
  if (command.creates) options.push_back({Option::Kind::value, "--idempotency-key", "KEY", "asking again with the same key changes nothing more"});
  return options;
}

std::vector<Option> const& global_options() {
  using enum Option::Kind;
  static std::vector<Option> const options{
      {value, "-o,--output", "FORMAT", "table, wide, json, jsonl or name", false, {"table", "wide", "json", "jsonl", "name"}},
      {value, "-l,--selector", "SELECTOR", "devices by labels and facts: site=lab,hardware in (a,b)"},
      {value, "--server", "URL", "https://HOST:PORT of the API"},
      {value, "--ca", "FILE", "certificate of the server's CA"},
      {value, "--token-file", "FILE", "file with the token"},
      {value, "--context", "NAME", "a context of the config"},
      {value, "--reason", "TEXT", "why; kept in the audit log"},
      {value, "--timeout", "TIME", "give up after so long (default 30s a request)"},
      {flag, "--yes", "", "do not ask"},
      {flag, "--no-color", "", "no colours"},
      {flag, "--no-progress", "", "no bars and no redraws"},
      {flag, "-q,--quiet", "", "no messages but errors"},
  };
  return options;
}

std::vector<Noun> const& all_nouns() {
  static std::vector<Noun> const nouns{
      {"context", "servers by name"},
      {"auth", "who the server takes you for"},
      {"token", "tokens of people and CI"},
      {"role", "roles, and what CI systems get them for"},
      {"device", "devices: see, approve, label, retire"},
      {"device token", "tokens that devices join with"},
      {"model", "models"},
      {"release", "releases of models: publish, approve, see"},
      {"rollout", "rollouts: plan, start, watch, stop"},
      {"telemetry", "what devices measured, and what happened"},
      {"audit", "who did what"},
      {"trust", "signing keys"},
      {"trust offline", "keys that the server does not have"},
  };
  return nouns;
}

std::vector<Command> const& all_commands() {
  static std::vector<Command> const all = [] {
    std::vector<Command> rows;
    for (auto const* part : {&context_commands(),   &about_commands(),        &doctor_commands(),       &token_commands(),         &role_commands(),
                             &device_commands(),    &device_token_commands(), &model_commands(),        &release_commands(),       &publish_commands(),
                             &verify_commands(),    &rollout_commands(),      &rollout_verb_commands(), &simulate_commands(),      &watch_commands(),
                             &telemetry_commands(), &audit_commands(),        &trust_commands(),        &trust_offline_commands(), &raw_commands()})
      rows.insert(rows.end(), part->begin(), part->end());
    return rows;
  }();
  return all;
}

}  // namespace fleet::commands
