#pragma once

#include "core/base/fs.hpp"
#include "core/proof/golden.hpp"
#include "core/proof/process.hpp"

#include <doctest/doctest.h>

#include <stdlib.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <string>

namespace fleet::proof {

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
    exec.run_as = ::geteuid() == 0 ? "nobody" : "";
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
  /// A folder that everybody may write to.
  [[nodiscard]] std::string open_folder() const {
    std::filesystem::create_directories(root_ + "/open");
    std::filesystem::permissions(root_ + "/open", static_cast<std::filesystem::perms>(0777));
    return root_ + "/open";
  }
  [[nodiscard]] std::string scratch() const { return root_ + "/scratch"; }
  [[nodiscard]] Candidate candidate() const { return {"reader", "2.0", std::string(64, 'a'), slot(), scratch(), "/run/statsd.sock"}; }
  [[nodiscard]] Ground ground() { return {system_fs(), system_clock(), exec, stop}; }
  [[nodiscard]] Result<Outcome> run_script(std::string const& body, Millis timeout = Millis{10'000}) {
    script("run", body);
    Command command;
    command.program = slot() + "/run";
    command.directory = slot();
    command.environment = {{"FLEET_MODEL", "reader"}};
    command.timeout = timeout;
    command.exec = exec;
    command.of_release = true;
    return run(command, system_clock(), stop);
  }

  Exec exec;
  std::atomic<bool> stop{false};

private:
  std::string root_;
};

}  // namespace fleet::proof
