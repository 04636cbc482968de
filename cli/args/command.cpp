#include "cli/args/command.hpp"

namespace fleet::cli {

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

}  // namespace fleet::cli
