#include "cli/args/parser.hpp"

#include "tests/unit/cli/bench.hpp"
#include "cli/args/completion.hpp"
#include "cli/commands/nouns.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <memory>
#include <set>

using namespace fleet::cli;
using fleet::cli::testing::TempFolder;

TEST_CASE("every command has help with an example that parses") {
  for (auto const& command : command_tree().commands) {
    CAPTURE(command.path);
    std::vector<std::string> words;
    for (std::string_view rest = command.path; !rest.empty();) {
      auto const end = std::min(rest.find(' '), rest.size());
      words.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    words.emplace_back("--help");
    auto const help = parse(command_tree(), words);
    CHECK(help.exit == 0);
    CHECK(help.text.find("Example:\n  fleetctl " + std::string(command.path)) != std::string::npos);
    CHECK(help.text.find("Usage: fleetctl " + std::string(command.path)) != std::string::npos);
  }
}

TEST_CASE("paths of commands are distinct, and each noun is described") {
  std::set<std::string_view> paths, nouns;
  for (auto const& noun : command_tree().nouns) nouns.insert(noun.path);
  for (auto const& command : command_tree().commands) {
    CHECK(paths.insert(command.path).second);
    auto const space = command.path.rfind(' ');
    if (space != std::string_view::npos) CHECK(nouns.contains(command.path.substr(0, space)));
  }
}

TEST_CASE("a command may have commands below it") {
  CHECK(parse(command_tree(), {"cost"}).command->path == "cost");
  CHECK(parse(command_tree(), {"cost", "--model", "prices"}).arguments.text("model") == "prices");
  CHECK(parse(command_tree(), {"cost", "prices"}).command->path == "cost prices");
  CHECK(parse(command_tree(), {"cost", "prizes"}).text.find("did you mean `fleetctl cost prices`?") != std::string::npos);
  CHECK(parse(command_tree(), {"device"}).exit == 2);
}

TEST_CASE("global flags stand anywhere, arguments keep their order") {
  auto const parsed = parse(command_tree(), {"-o", "json", "device", "--yes", "label", "cam-1", "a=b", "-q", "c-", "--server=https://x:1"});
  REQUIRE(parsed.command != nullptr);
  CHECK(parsed.command->path == "device label");
  CHECK(parsed.arguments.text("output") == "json");
  CHECK(parsed.arguments.flag("yes"));
  CHECK(parsed.arguments.flag("quiet"));
  CHECK(parsed.arguments.text("server") == "https://x:1");
  CHECK(parsed.arguments.text("ID") == "cam-1");
  CHECK(parsed.arguments.texts("CHANGE") == std::vector<std::string>{"a=b", "c-"});
}

TEST_CASE("names that are also commands, and values with brackets, are taken as they are") {
  CHECK(parse(command_tree(), {"model", "get", "device"}).arguments.text("NAME") == "device");
  CHECK(parse(command_tree(), {"device", "get", "list"}).arguments.text("ID") == "list");
  CHECK(parse(command_tree(), {"device", "list", "-l", "hardware in (a,b),!old"}).arguments.text("selector") == "hardware in (a,b),!old");
  CHECK(parse(command_tree(), {"device", "list", "-l", "{}"}).arguments.text("selector") == "{}");
  CHECK(parse(command_tree(), {"device", "list", "--reason", "[x]"}).arguments.text("reason") == "[x]");
}

TEST_CASE("a repeatable flag takes one value each time") {
  auto const parsed = parse(command_tree(), {"release", "publish", "--model", "m", "--version", "1", "--variant", "a=x", "--variant", "b=y", "--metric", "k=1"});
  REQUIRE(parsed.command != nullptr);
  CHECK(parsed.arguments.texts("variant") == std::vector<std::string>{"a=x", "b=y"});
}

TEST_CASE("wrong use ends with 2, says what is wrong and what is near") {
  struct Row {
    std::vector<std::string> words;
    std::string_view said;
  };
  Row const rows[] = {
      {{}, "`fleetctl` needs a command: context"},
      {{"device"}, "`fleetctl device` needs a command"},
      {{"devcie", "list"}, "did you mean `fleetctl device`"},
      {{"rollout", "wtach", "x"}, "did you mean `fleetctl rollout watch`"},
      {{"device", "token", "creat"}, "did you mean `fleetctl device token create`"},
      {{"device", "list", "--sate", "x"}, "did you mean --state"},
      {{"device", "list", "--selektor=a"}, "did you mean --selector"},
      {{"zzz"}, "no command `fleetctl zzz`"},
      {{"device", "get"}, "ID"},
      {{"device", "get", "a", "b"}, "takes no `b`"},
      {{"device", "list", "--state", "gone"}, "--state"},
      {{"device", "list", "-o", "yaml"}, "--output"},
      {{"rollout", "create", "--release", "m@1"}, "--policy"},
      {{"token", "create", "ci", "--role", "viewer", "--role", "admin"}, "--role"},
      {{"device", "list", "--limit"}, "--limit"},
      {{"webhook", "list"}, "no command `fleetctl webhook`"},
  };
  for (auto const& row : rows) {
    CAPTURE(row.said);
    auto const parsed = parse(command_tree(), row.words);
    CHECK(parsed.command == nullptr);
    CHECK(parsed.exit == 2);
    CHECK_MESSAGE(parsed.text.find(row.said) != std::string::npos, parsed.text);
  }
}

TEST_CASE("slips are near, other words are not") {
  std::vector<std::string> const known{"list", "get", "approve", "unhold"};
  CHECK(nearest("lsit", known) == "list");
  CHECK(nearest("aprove", known) == "approve");
  CHECK(nearest("app", known) == "approve");
  CHECK(nearest("banana", known).empty());
  CHECK(nearest("", known).empty());
}

TEST_CASE("completion scripts name every command; bash's parses and completes") {
  TempFolder folder;
  for (auto const* shell : {"bash", "zsh", "fish"}) {
    auto const script = completion_script(command_tree(), shell);
    for (auto const& command : command_tree().commands) {
      CAPTURE(command.path);
      CHECK(script.find(std::string(command.path.substr(command.path.rfind(' ') + 1))) != std::string::npos);
    }
  }
  auto const path = folder.write("fleetctl.bash", completion_script(command_tree(), "bash"));
  REQUIRE(std::system(("bash -n " + path).c_str()) == 0);
  auto const completed = [&path](std::string const& words) {
    auto const line = "bash -c 'source " + path + "; COMP_WORDS=(" + words + "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _fleetctl; echo ${COMPREPLY[*]}'";
    std::unique_ptr<FILE, int (*)(FILE*)> const pipe(::popen(line.c_str(), "r"), ::pclose);
    std::string out(4096, '\0');
    out.resize(std::fread(out.data(), 1, out.size(), pipe.get()));
    return out.substr(0, out.find('\n'));
  };
  CHECK(completed("fleetctl dev") == "device");
  CHECK(completed("fleetctl -o json rollout wa") == "wait watch");
  CHECK(completed("fleetctl device token cr") == "create");
  CHECK(completed("fleetctl device list -o j") == "json jsonl");
  CHECK(completed("fleetctl device get cam-1 --tok") == "--token-file");
  CHECK(completed("fleetctl completion z") == "zsh");
}
