#include "agent/commands/arguments.hpp"

#include <doctest/doctest.h>

namespace fleet::agent {
namespace {

constexpr auto kMake = std::to_array<Option>({
    {"what", "NAME", "what to make", Option::Needed::yes},
    {"--root", "DIR", "a folder", Option::Needed::yes},
    {"-o,--output", "table|json", "how it is written"},
    {"--server", "URL", "where", Option::Needed::no, Option::Times::many},
    {"--wait", "", "waits"},
    {"--timeout", "TIME", "so long", Option::Needed::no, Option::Times::once, "--wait"},
    {"--token", "FILE", "lets it in", Option::Needed::no, Option::Times::once, {}, "--key"},
    {"--key", "FILE", "so does this"},
    {"--slot", "DIR", ""},
    {"why", "TEXT", "the reason"},
});
constexpr auto kCommands = std::to_array<Command>({{"make", "makes it", kMake}, {"rest", "does nothing", {}}});

Result<Arguments> read(std::vector<char const*> const& words) { return read_arguments(kCommands, words); }

TEST_CASE("arguments: names and places in any order, values apart or behind =") {
  auto const told = read({"make", "-o", "json", "bed", "--server=https://a", "--root", "-x", "--server", "", "--wait", "--", "--because"});
  REQUIRE(told.has_value());
  CHECK(told->command == "make");
  CHECK(told->text("what") == "bed");
  CHECK(told->text("why") == "--because");
  CHECK(told->text("--output") == "json");
  CHECK(told->text("--root") == "-x");
  CHECK(told->all("--server") == std::vector<std::string>{"https://a", ""});
  CHECK(told->has("--wait"));
  CHECK_FALSE(told->has("--timeout"));
  CHECK(told->text("--timeout", "1h") == "1h");
}

TEST_CASE("arguments: what is wrong is named") {
  struct Row {
    std::vector<char const*> words;
    std::string_view detail;
  };
  for (auto const& [words, detail] : std::initializer_list<Row>{
           {{}, "a command is missing"},
           {{"--root"}, "there is no command '--root'"},
           {{"made"}, "there is no command 'made'"},
           {{"make", "bed"}, "make: --root is missing"},
           {{"make", "--root", "d"}, "make: what is missing"},
           {{"make", "bed", "--root"}, "--root needs a value"},
           {{"make", "bed", "--root", "d", "--ro", "e"}, "make has no --ro"},
           {{"make", "bed", "--root", "d", "--root", "e"}, "--root is given twice"},
           {{"make", "bed", "--root", "d", "--wait=yes"}, "--wait takes no value"},
           {{"make", "bed", "--root", "d", "-o", "xml"}, "--output 'xml'"},
           {{"make", "bed", "--root", "d", "-o", "table|json"}, "--output 'table|json'"},
           {{"make", "bed", "--root", "d", "--timeout", "1s"}, "--timeout goes with --wait"},
           {{"make", "bed", "--root", "d", "--token", "t", "--key", "k"}, "--token and --key"},
           {{"make", "bed", "--root", "d", "so", "and"}, "make does not know what to do with 'and'"},
           {{"rest", "now"}, "rest does not know what to do with 'now'"},
       }) {
    CAPTURE(detail);
    auto const told = read(words);
    REQUIRE_FALSE(told.has_value());
    CHECK(told.error().code == "usage");
    CHECK(told.error().detail == detail);
    CHECK_FALSE(told.error().hint.empty());
  }
}

TEST_CASE("arguments: help needs nothing else, and tells all that is to be told") {
  for (auto const& words : std::initializer_list<std::vector<char const*>>{{"--help"}, {"-h"}, {"make", "--help"}, {"make", "bed", "--server", "x", "-h"}}) {
    auto const told = read(words);
    REQUIRE(told.has_value());
    CHECK(told->help);
    CHECK(told->command == (words.size() == 1 ? "" : "make"));
  }
  CHECK(read({"--version"})->version);
  auto const all = help_of(kCommands, {}), one = help_of(kCommands, "make");
  for (auto const* const text : {"make", "makes it", "rest"}) CHECK(all.find(text) != std::string::npos);
  for (auto const* const text : {"--root DIR", "a folder; needed", "-o,--output table|json", "where; repeatable", "  what ", "--wait "}) CHECK(one.find(text) != std::string::npos);
  CHECK(one.find("--slot") == std::string::npos);
}

}  // namespace
}  // namespace fleet::agent
