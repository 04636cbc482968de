#include "agent/commands.hpp"
#include "agent/enroll.hpp"
#include "agent/update/daemon.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>

namespace {

using namespace fleet;
using namespace fleet::agent;

constexpr int kUsage = 2;
constexpr int kWaitsForPerson = 9;

int finish(Result<void> const& result) {
  if (result) return 0;
  auto const& error = result.error();
  fmt::print(stderr, "fleet-agent: {}\n", error.detail);
  for (auto const& one : error.errors) fmt::print(stderr, "  {} {}\n", one.pointer, one.detail);
  if (!error.hint.empty()) fmt::print(stderr, "  hint: {}\n", error.hint);
  return exit_code(error.kind);
}

int show(Result<std::string> const& text) {
  if (!text) return finish(text.error());
  std::fputs(text->c_str(), stdout);
  return 0;
}

int run_enroll(Layout const& layout, EnrollOptions options, std::vector<std::string> const& facts) {
  for (auto const& fact : facts) {
    auto const equals = fact.find('=');
    if (equals == std::string::npos || equals == 0) {
      fmt::print(stderr, "fleet-agent: --report '{}': write k=v\n", fact);
      return kUsage;
    }
    options.reported[fact.substr(0, equals)] = fact.substr(equals + 1);
  }
  auto const state = enroll(system_fs(), system_clock(), system_random(), layout, options);
  if (!state) return finish(state.error());
  if (*state == "active") {
    fmt::print("enrolled; start it with: fleet-agent run --root {}\n", layout.root);
    return 0;
  }
  fmt::print(stderr, "the enrolment is {}: a person approves it with fleetctl device approve; then run this command again\n", *state);
  return kWaitsForPerson;
}

}  // namespace

int main(int argc, char** argv) try {
  CLI::App app{
      "fleet-agent: keeps the models of this device at what its fleet says\n\n  fleet-agent enroll --root /var/lib/fleet --server https://fleet.example:8444 "
      "--ca ca.pem --token-file token\n  fleet-agent run --root /var/lib/fleet"};
  app.require_subcommand(1);
  app.set_version_flag("--version", FLEET_VERSION);
  Layout layout;
  std::string output = "table", model, file;
  EnrollOptions options;
  std::vector<std::string> facts;
  auto const add = [&](char const* name, char const* help) {
    auto* const command = app.add_subcommand(name, help);
    command->add_option("--root", layout.root, "the agent's folder")->required();
    return command;
  };
  auto* const enrolling = add("enroll", "makes a key and gets a certificate with a join token");
  enrolling->add_option("--server", options.servers, "https://HOST:PORT of the device listener; repeatable")->required();
  enrolling->add_option("--ca", options.ca_file, "the server's CA (ca.pem)")->required()->check(CLI::ExistingFile);
  enrolling->add_option("--token-file", options.token_file, "file with the join token")->required()->check(CLI::ExistingFile);
  enrolling->add_option("--tuf-root", options.tuf_root_file, "root.json to trust instead of the server's first word")->check(CLI::ExistingFile);
  enrolling->add_option("--id", options.id, "name of the device (default: random)");
  enrolling->add_option("--hardware", options.hardware, "hardware class (default: the machine's architecture)");
  enrolling->add_option("--report", facts, "k=v, a fact the device reports; repeatable");
  auto* const running = add("run", "the daemon");
  auto* const status = add("status", "what runs and what is under way");
  auto* const explaining = add("explain", "why each model is where it is");
  explaining->add_option("model", model, "one model");
  for (auto* const command : {status, explaining}) command->add_option("-o,--output", output, "table or json")->check(CLI::IsMember({"table", "json"}));
  auto* const rollback = add("rollback", "returns to the version before and holds the one that runs");
  rollback->add_option("--model", model, "needed where several run");
  auto* const unhold = add("unhold", "lets a held release be taken again");
  unhold->add_option("--model", model)->required();
  auto* const collecting = add("collect", "writes a tar of status, configuration and journal, without secrets");
  collecting->add_option("--to", file, "file to write")->required();

  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& fault) {
    return app.exit(fault) == 0 ? 0 : kUsage;
  }
  bool const json = output == "json";
  if (enrolling->parsed()) return run_enroll(layout, options, facts);
  if (running->parsed()) return finish(run_daemon(system_fs(), system_clock(), system_random(), layout));
  if (status->parsed()) return show(show_status(layout, json));
  if (explaining->parsed()) return show(explain(layout, model, json));
  if (rollback->parsed()) return finish(order(layout, "rollback", model));
  if (unhold->parsed()) return finish(order(layout, "unhold", model));
  return finish(collect(layout, file));
} catch (std::exception const& bug) {
  fmt::print(stderr, "fleet-agent: internal error: {}\n", bug.what());
  return 1;
}
