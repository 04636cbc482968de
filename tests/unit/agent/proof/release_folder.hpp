#pragma once

#include "agent/proof/proof.hpp"
#include "core/base/fs.hpp"

#include <doctest/doctest.h>

#include <stdlib.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <string>

namespace fleet::agent {

/// A slot with scripts on the real file system, reachable by the user that release programs run as.
class ReleaseFolder {
public:
  ReleaseFolder() {
    std::string made = "/tmp/fleet-health-XXXXXX";
    REQUIRE(::mkdtemp(made.data()) != nullptr);
    root_ = made;
    namespace stdfs = std::filesystem;
    stdfs::permissions(root_, static_cast<stdfs::perms>(0755));
    stdfs::create_directories(root_ + "/slot");
    stdfs::create_directories(root_ + "/scratch");
    config.run_as = ::geteuid() == 0 ? "nobody" : "";
  }
  ~ReleaseFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  void put(std::string const& name, std::string const& content) const { std::ofstream(root_ + "/slot/" + name) << content; }
  void script(std::string const& name, std::string const& body) const {
    put(name, "#!/bin/sh\n" + body + "\n");
    std::filesystem::permissions(root_ + "/slot/" + name, static_cast<std::filesystem::perms>(0755));
  }
  [[nodiscard]] std::string slot() const { return root_ + "/slot"; }
  [[nodiscard]] std::string scratch() const { return root_ + "/scratch"; }
  [[nodiscard]] Candidate candidate() const { return {"reader", "2.0", std::string(64, 'a'), slot(), scratch(), "/run/statsd.sock"}; }
  [[nodiscard]] Bench bench() { return {system_fs(), clock, config, collector, stop}; }
  [[nodiscard]] Result<Outcome> run_script(std::string const& body, Millis timeout = Millis{10'000}) {
    script("run", body);
    Command command;
    command.program = slot() + "/run";
    command.directory = slot();
    command.environment = {{"FLEET_MODEL", "reader"}};
    command.timeout = timeout;
    command.run_as = config.run_as;
    return run(command, stop);
  }

  FakeClock clock{from_unix_ms(1'700'000'000'000)};
  Config config;
  Collector collector{clock};
  Interrupt stop;

private:
  std::string root_;
};

}  // namespace fleet::agent
