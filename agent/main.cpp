#include "agent/commands/commands.hpp"
#include "agent/commands/config_check.hpp"
#include "agent/commands/daemon.hpp"
#include "agent/commands/enroll.hpp"
#include "agent/commands/install.hpp"
#include "core/base/text.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <thread>

namespace {

using namespace fleet;
using namespace fleet::agent;

constexpr int kUsage = 2;
constexpr int kWaitsForPerson = 9;

int finish(Result<void> const& result) {
  if (result) return 0;
  auto const& error = result.error();
  auto text = fmt::format("fleet-agent: {}\n", error.detail);
  for (auto const& one : error.errors) text += fmt::format("  {} {}\n", one.pointer, one.detail);
  if (!error.hint.empty()) text += fmt::format("  hint: {}\n", error.hint);
  fmt::print(stderr, "{}", safe_lines(text));  // what a server says is in it
  return exit_code(error.kind);
}

int show(Result<std::string> const& text, bool json) {
  if (!text) return finish(text.error());
  std::fputs((json ? safe_json(*text) : safe_lines(*text)).c_str(), stdout);
  return 0;
}

/// What `enroll` was told.
struct Enrolling {
  EnrollOptions options;
  std::vector<std::string> facts;
  bool wait = false;
  std::string timeout = "1h";
};

CLI::App* describe_enroll(CLI::App& app, Layout& layout, Enrolling& told) {
  auto* const command = app.add_subcommand("enroll", "makes a key and gets a certificate with a join token, or with the factory's certificate");
  auto& options = told.options;
  command->add_option("--root", layout.root, "the agent's folder")->required();
  command->add_option("--server", options.servers, "https://HOST:PORT of the device listener; repeatable")->required();
  command->add_option("--ca", options.ca_file, "the server's CA (ca.pem)")->required()->check(CLI::ExistingFile);
  auto* const token = command->add_option("--token-file", options.token_file, "file with the join token")->check(CLI::ExistingFile);
  auto* const factory = command->add_option("--factory-certificate", options.factory_certificate_file, "in place of a token: what the factory gave the device")
                            ->check(CLI::ExistingFile)
                            ->excludes(token);
  auto* const factory_key = command->add_option("--factory-key", options.factory_key, "its key: a file, or handle:0x81... in a TPM");
  factory->needs(factory_key);
  factory_key->needs(factory);
  command->add_option("--key", options.key, "use this key of a TPM (handle:0x81...) and make none");
  command->add_option("--tuf-root", options.tuf_root_file, "root.json to trust instead of the server's first word")->check(CLI::ExistingFile);
  command->add_option("--id", options.id, "name of the device (default: random)");
  command->add_option("--hardware", options.hardware, "hardware class (default: the machine's architecture)");
  command->add_option("--report", told.facts, "k=v, a fact the device reports; repeatable");
  auto* const wait = command->add_flag("--wait", told.wait, "wait until a person approves, where one must");
  command->add_option("--timeout", told.timeout, "so long at most")->needs(wait)->capture_default_str();
  return command;
}

Result<std::string> try_enroll(Layout const& layout, Enrolling& told) {
  auto& options = told.options;
  FLEET_TRY(auto const config, load_config(system_fs(), layout.config()));
  FLEET_TRY(options.proxy, proxy_of(config));
  if (!told.wait) return enroll(system_fs(), system_clock(), system_random(), layout, options, system_clock());
  Waiting waiting;
  FLEET_TRY(waiting.timeout, parse_duration(told.timeout));
  waiting.pause = [](Millis time) { std::this_thread::sleep_for(time); };
  waiting.say = [](std::string const& text) { fmt::print(stderr, "{}\n", safe_lines(text)); };
  return enroll_and_wait(system_fs(), system_clock(), system_random(), layout, options, waiting, system_clock());
}

int run_enroll(Layout const& layout, Enrolling told) {
  for (auto const& fact : told.facts) {
    auto const equals = fact.find('=');
    if (equals == std::string::npos || equals == 0) {
      fmt::print(stderr, "fleet-agent: --report '{}': write k=v\n", fact);
      return kUsage;
    }
    told.options.reported[fact.substr(0, equals)] = fact.substr(equals + 1);
  }
  if (told.options.token_file.empty() && told.options.factory_certificate_file.empty()) {
    fmt::print(stderr, "fleet-agent: enroll: nothing lets the device in\n  hint: give --token-file, or --factory-certificate and --factory-key\n");
    return kUsage;
  }
  auto const state = try_enroll(layout, told);
  if (!state) return finish(state.error());
  if (*state == "active") {
    fmt::print("enrolled; start it with: fleet-agent run --root {}\n", layout.root);
    return 0;
  }
  fmt::print(stderr, "the enrolment is {}: a person approves it with fleetctl device approve; then run this command again, or now with --wait\n",
             safe_text(*state));
  return kWaitsForPerson;
}

CLI::App* describe_install(CLI::App& app, Layout& layout, InstallOptions& options, std::string& timeout) {
  auto* const command = app.add_subcommand("install", "installs a bundle (fleetctl bundle export), with the same checks as over the network, and waits for the commit");
  command->add_option("bundle", options.bundle, "the bundle's file")->required();
  command->add_option("--root", layout.root, "the agent's folder")->required();
  command->add_flag("!--no-wait", options.wait, "end once the agent has accepted it; the stick stays in until it has copied what it needs");
  command->add_option("--receipt", options.receipt, "file to write what the device did to, for fleetctl bundle accept");
  command->add_option("--timeout", timeout, "so long at most")->capture_default_str();
  return command;
}

int run_install(Machine const& machine, Layout const& layout, InstallOptions options, std::string const& timeout) {
  auto const patience = parse_duration(timeout);
  if (!patience) {
    finish(patience.error());
    return kUsage;
  }
  options.timeout = *patience;
  InstallSurroundings const around{[](Millis time) { std::this_thread::sleep_for(time); }, [](std::string const& text) { fmt::print(stderr, "{}\n", safe_lines(text)); }};
  auto const code = install(machine, layout, options, around);
  return code ? *code : finish(code.error());
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
  Enrolling told;
  auto const add = [&](char const* name, char const* help) {
    auto* const command = app.add_subcommand(name, help);
    command->add_option("--root", layout.root, "the agent's folder")->required();
    return command;
  };
  auto* const enrolling = describe_enroll(app, layout, told);
  InstallOptions install_options;
  std::string install_timeout = "6h";
  auto* const installing = describe_install(app, layout, install_options, install_timeout);
  auto* const running = add("run", "the daemon");
  auto* const status = add("status", "what runs and what is under way");
  auto* const explaining = add("explain", "why each model is where it is");
  explaining->add_option("model", model, "one model");
  for (auto* const command : {status, explaining}) command->add_option("-o,--output", output, "table or json")->check(CLI::IsMember({"table", "json"}));
  auto* const checking = add("check-config", "names every mistake of agent.yaml, and what it names that this machine lacks; run does not start with one");
  auto* const rollback = add("rollback", "returns to the version before and holds the one that runs");
  rollback->add_option("--model", model, "needed where several run");
  auto* const unhold = add("unhold", "lets a held release be taken again");
  unhold->add_option("--model", model)->required();
  auto* const consent = add("consent", "agrees to the release that waits for it (agent.yaml, update_lock)");
  consent->add_option("--model", model)->required();
  auto* const collecting = add("collect", "writes a tar of status, configuration and journal, without secrets");
  collecting->add_option("--to", file, "file to write")->required();

  try {
    app.parse(argc, argv);
  } catch (CLI::ParseError const& fault) {
    return app.exit(fault) == 0 ? 0 : kUsage;
  }
  auto const root = absolute_path(layout.root);
  if (!root) return finish(root.error());
  layout.root = *root;
  bool const json = output == "json";
  Machine const machine{system_fs(), system_clock(), system_random()};
  if (enrolling->parsed()) return run_enroll(layout, std::move(told));
  if (installing->parsed()) return run_install(machine, layout, std::move(install_options), install_timeout);
  if (running->parsed()) return finish(run_daemon(system_fs(), system_clock(), system_random(), layout));
  if (checking->parsed()) return finish(check_config(system_fs(), layout));
  if (status->parsed()) return show(show_status(machine, layout, json), json);
  if (explaining->parsed()) return show(explain(machine, layout, model, json), json);
  if (rollback->parsed()) return finish(order(machine, layout, "rollback", model));
  if (unhold->parsed()) return finish(order(machine, layout, "unhold", model));
  if (consent->parsed()) return finish(order(machine, layout, "consent", model));
  return finish(collect(machine, layout, file));
} catch (std::exception const& bug) {
  fmt::print(stderr, "fleet-agent: internal error: {}\n", bug.what());
  return 1;
}
