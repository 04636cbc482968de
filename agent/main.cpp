#include "agent/commands/arguments.hpp"
#include "agent/commands/boot.hpp"
#include "agent/commands/commands.hpp"
#include "agent/commands/config_check.hpp"
#include "agent/commands/daemon.hpp"
#include "agent/commands/enroll.hpp"
#include "agent/commands/install.hpp"
#include "core/base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
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

using Needed = Option::Needed;
using Times = Option::Times;

constexpr Option kRoot{"--root", "DIR", "the agent's folder", Needed::yes};
constexpr Option kOutput{"-o,--output", "table|json", "how it is written"};
constexpr Option kModel{"--model", "NAME", "of which model", Needed::yes};

constexpr auto kEnroll = std::to_array<Option>({
    kRoot,
    {"--server", "URL", "https://HOST:PORT of the device listener", Needed::yes, Times::many},
    {"--ca", "FILE", "the server's CA (ca.pem)", Needed::yes},
    {"--token-file", "FILE", "the join token", Needed::no, Times::once, {}, "--factory-certificate"},
    {"--factory-certificate", "FILE", "in place of a token: what the factory gave the device", Needed::no, Times::once, "--factory-key"},
    {"--factory-key", "KEY", "its key: a file, or handle:0x81... in a TPM", Needed::no, Times::once, "--factory-certificate"},
    {"--key", "HANDLE", "use this key of a TPM (handle:0x81...) and make none"},
    {"--wrap-key", "HANDLE", "the same for keys of protected models: one that may decrypt"},
    {"--tuf-root", "FILE", "root.json to trust instead of the server's first word"},
    {"--id", "NAME", "name of the device (default: random)"},
    {"--hardware", "CLASS", "hardware class (default: the machine's architecture)"},
    {"--report", "K=V", "a fact the device reports", Needed::no, Times::many},
    {"--wait", "", "wait until a person approves, where one must"},
    {"--timeout", "TIME", "so long at most (1h)", Needed::no, Times::once, "--wait"},
});
constexpr auto kInstall = std::to_array<Option>({
    {"bundle", "FILE", "the bundle's file", Needed::yes},
    kRoot,
    {"--no-wait", "", "end once the agent has accepted it; the stick stays in until it has copied what it needs"},
    {"--receipt", "FILE", "where to write what the device did, for fleetctl bundle accept"},
    {"--timeout", "TIME", "so long at most (6h)"},
});
// What starts another agent tells it `--slot` and `--by` (docs/adr/0047): these two, and `self-test`, stay for ever.
constexpr auto kRun = std::to_array<Option>({kRoot, {"--slot", "DIGEST", ""}, {"--by", "PATH", ""}});
constexpr auto kOfRoot = std::to_array<Option>({kRoot});
constexpr auto kStatus = std::to_array<Option>({kRoot, kOutput});
constexpr auto kExplain = std::to_array<Option>({kRoot, kOutput, {"model", "NAME", "one model"}});
constexpr auto kRollback = std::to_array<Option>({kRoot, {"--model", "NAME", "needed where several run"}});
constexpr auto kOfModel = std::to_array<Option>({kRoot, kModel});
constexpr auto kCollect = std::to_array<Option>({kRoot, {"--to", "FILE", "the file to write", Needed::yes}});
constexpr auto kCommands = std::to_array<Command>({
    {"enroll", "makes a key and gets a certificate with a join token, or with the factory's certificate", kEnroll},
    {"install", "installs a bundle (fleetctl bundle export), with the same checks as over the network, and waits for the commit", kInstall},
    {"run", "the daemon", kRun},
    {"self-test", "reads what lies there, reaches the server, changes nothing: what an agent's own update begins with", kOfRoot},
    {"status", "what runs and what is under way", kStatus},
    {"explain", "why each model is where it is", kExplain},
    {"check-config", "names every mistake of agent.yaml, and what it names that this machine lacks; run does not start with one", kOfRoot},
    {"rollback", "returns to the version before and holds the one that runs", kRollback},
    {"unhold", "lets a held release be taken again", kOfModel},
    {"consent", "agrees to the release that waits for it (agent.yaml, update_lock)", kOfModel},
    {"collect", "writes a tar of status, configuration and journal, without secrets", kCollect},
});
constexpr char kAbout[] =
    "fleet-agent: keeps the models of this device at what its fleet says\n\n"
    "  fleet-agent enroll --root /var/lib/fleet --server https://fleet.example:8444 --ca ca.pem --token-file token\n"
    "  fleet-agent run --root /var/lib/fleet\n\n";

EnrollOptions options_of(Arguments const& told) {
  EnrollOptions out;
  out.servers = told.all("--server");
  out.ca_file = told.text("--ca");
  out.token_file = told.text("--token-file");
  out.factory_certificate_file = told.text("--factory-certificate");
  out.factory_key = told.text("--factory-key");
  out.key = told.text("--key");
  out.wrap_key = told.text("--wrap-key");
  out.tuf_root_file = told.text("--tuf-root");
  out.id = told.text("--id");
  out.hardware = told.text("--hardware");
  return out;
}

Result<std::string> try_enroll(Layout const& layout, Arguments const& told, EnrollOptions options) {
  FLEET_TRY(auto const config, load_config(system_fs(), layout.config()));
  FLEET_TRY(options.proxy, proxy_of(config));
  if (!told.has("--wait")) return enroll(system_fs(), system_clock(), system_random(), layout, options, system_clock());
  Waiting waiting;
  FLEET_TRY(waiting.timeout, parse_duration(told.text("--timeout", "1h")));
  waiting.pause = [](Millis time) { std::this_thread::sleep_for(time); };
  waiting.say = [](std::string const& text) { fmt::print(stderr, "{}\n", safe_lines(text)); };
  return enroll_and_wait(system_fs(), system_clock(), system_random(), layout, options, waiting, system_clock());
}

int run_enroll(Layout const& layout, Arguments const& told) {
  auto options = options_of(told);
  for (auto const& fact : told.all("--report")) {
    auto const equals = fact.find('=');
    if (equals == std::string::npos || equals == 0) {
      fmt::print(stderr, "fleet-agent: --report '{}': write k=v\n", fact);
      return kUsage;
    }
    options.reported[fact.substr(0, equals)] = fact.substr(equals + 1);
  }
  if (options.token_file.empty() && options.factory_certificate_file.empty()) {
    fmt::print(stderr, "fleet-agent: enroll: nothing lets the device in\n  hint: give --token-file, or --factory-certificate and --factory-key\n");
    return kUsage;
  }
  auto const state = try_enroll(layout, told, std::move(options));
  if (!state) return finish(state.error());
  if (*state == "active") {
    fmt::print("enrolled; start it with: fleet-agent run --root {}\n", layout.root);
    return 0;
  }
  fmt::print(stderr, "the enrolment is {}: a person approves it with fleetctl device approve; then run this command again, or now with --wait\n",
             safe_text(*state));
  return kWaitsForPerson;
}

int run_install(Machine const& machine, Layout const& layout, Arguments const& told) {
  InstallOptions options;
  options.bundle = told.text("bundle");
  options.wait = !told.has("--no-wait");
  options.receipt = told.text("--receipt");
  auto const patience = parse_duration(told.text("--timeout", "6h"));
  if (!patience) {
    finish(patience.error());
    return kUsage;
  }
  options.timeout = *patience;
  InstallSurroundings const around{[](Millis time) { std::this_thread::sleep_for(time); }, [](std::string const& text) { fmt::print(stderr, "{}\n", safe_lines(text)); }};
  auto const code = install(machine, layout, options, around);
  return code ? *code : finish(code.error());
}

int run_self_test(Layout const& layout) {
  auto const said = self_test(system_fs(), system_clock(), layout);
  int const shown = show(said, true);
  return said ? shown : self_test_exit(said.error());
}

int run(Arguments const& told) {
  Layout layout;
  auto const root = absolute_path(told.text("--root"));
  if (!root) return finish(root.error());
  layout.root = *root;
  bool const json = told.text("--output") == "json";
  auto const& command = told.command;
  Machine const machine{system_fs(), system_clock(), system_random()};
  if (command == "enroll") return run_enroll(layout, told);
  if (command == "install") return run_install(machine, layout, told);
  if (command == "run") return finish(run_chosen(system_fs(), system_clock(), system_random(), layout, {told.text("--slot"), told.text("--by")}));
  if (command == "self-test") return run_self_test(layout);
  if (command == "check-config") return finish(check_config(system_fs(), layout));
  if (command == "status") return show(show_status(machine, layout, json), json);
  if (command == "explain") return show(explain(machine, layout, told.text("model"), json), json);
  if (command == "collect") return finish(collect(machine, layout, told.text("--to")));
  return finish(order(machine, layout, command, told.text("--model")));  // rollback, unhold, consent
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<char const*> const words(argv + std::min(argc, 1), argv + argc);
  auto const told = read_arguments(kCommands, words);
  if (!told) {
    finish(told.error());
    return kUsage;
  }
  if (told->version) fmt::print("{}\n", FLEET_VERSION);
  if (told->help) fmt::print("{}{}", told->command.empty() ? kAbout : "", help_of(kCommands, told->command));
  return told->version || told->help ? 0 : run(*told);
} catch (std::exception const& bug) {
  fmt::print(stderr, "fleet-agent: internal error: {}\n", bug.what());
  return 1;
}
