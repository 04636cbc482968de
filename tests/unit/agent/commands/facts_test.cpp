#include "agent/commands/facts.hpp"

#include "tests/unit/agent/device.hpp"

using namespace fleet;
using namespace fleet::agent;

namespace {

constexpr std::string_view kDebian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n";

wire::Labels facts_of(CrashFs& fs, Config const& config = {}) {
  std::atomic<bool> const stop{false};
  return read_facts(fs, system_clock(), config, stop);
}

}  // namespace

TEST_CASE("os and kernel are told by themselves, an image's with its build") {
  CrashFs fs;
  CHECK(facts_of(fs).empty());
  fs.put("/etc/os-release", std::string(kDebian));
  fs.put("/proc/sys/kernel/osrelease", "6.1.0-20-arm64\n");
  CHECK(facts_of(fs) == wire::Labels{{"kernel", "6.1.0-20-arm64"}, {"os", "Debian GNU/Linux 12 (bookworm)"}});
  fs.put("/etc/os-release", "NAME=poky\nPRETTY_NAME='Poky 4.0'\nVERSION_ID=4.0.15\nBUILD_ID=\"20240102-7\"\n");
  CHECK(facts_of(fs).at("os") == "Poky 4.0 20240102-7");
}

TEST_CASE("a fact is the first line of its file, and one that cannot be read is left out") {
  CrashFs fs;
  fs.put("/sys/driver", "  535.104 \nmore\n");
  Config config;
  config.report_from = {{"driver", {"/sys/driver", {}}}, {"gone", {"/sys/gone", {}}}, {"program", {"", {"no-such-program"}}}};
  CHECK(facts_of(fs, config) == wire::Labels{{"driver", "535.104"}});
}

TEST_CASE("what changed is told once, in words for whoever looks for the cause") {
  Device device;
  auto& context = *device.context;
  context.identity.reported = {{"kernel", "6.1"}, {"os", "Debian 12"}};
  CHECK(*report_facts(context, {{"os", "Debian 12"}}) == "kernel is 6.1 now");
  CHECK(report_facts(context, {})->empty());
  context.identity.reported = {{"kernel", "6.6"}};
  CHECK(*report_facts(context, {}) == "kernel was 6.1 and is 6.6 now, os was Debian 12 and is not told any more");
}

TEST_CASE("the system is another when a fact is, or anything that os-release says") {
  CrashFs fs;
  fs.put("/etc/os-release", std::string(kDebian));
  auto const before = digest_of_system(fs, {{"kernel", "6.1"}});
  CHECK(digest_of_system(fs, {{"kernel", "6.1"}}) == before);
  CHECK(digest_of_system(fs, {{"kernel", "6.6"}}) != before);
  fs.put("/etc/os-release", std::string(kDebian) + "VARIANT=edge\n");
  CHECK(digest_of_system(fs, {{"kernel", "6.1"}}) != before);
}

TEST_CASE("what agent.yaml says stands above the enrolment's word, and that above what every system tells") {
  Device device;
  device.fs.put("/etc/os-release", std::string(kDebian));
  device.fs.put("/sys/driver", "2.0");
  device.context->config.report_from = {{"driver", {"/sys/driver", {}}}};
  device.context->config.report = {{"site", "north"}};
  CHECK(facts_of_device(*device.context, {{"driver", "1.0"}, {"os", "mine"}, {"site", "south"}, {"kept", "yes"}}) ==
        wire::Labels{{"driver", "2.0"}, {"kept", "yes"}, {"os", "mine"}, {"site", "north"}});
}
