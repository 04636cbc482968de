#pragma once

#include <string>

namespace fleet::agent {

/// Where things lie under the agent's root.
struct Layout {
  std::string root;
  [[nodiscard]] std::string config() const { return root + "/agent.yaml"; }
  [[nodiscard]] std::string identity() const { return root + "/identity"; }
  [[nodiscard]] std::string state() const { return root + "/state"; }
  [[nodiscard]] std::string run() const { return root + "/run"; }
  [[nodiscard]] std::string models() const { return root + "/models"; }
  [[nodiscard]] std::string journal() const { return state() + "/journal"; }
  [[nodiscard]] std::string directive() const { return state() + "/directive.json"; }
  [[nodiscard]] std::string spool() const { return state() + "/spool"; }
  [[nodiscard]] std::string floor() const { return state() + "/time-floor"; }
  [[nodiscard]] std::string download_budget() const { return state() + "/download-budget"; }
  [[nodiscard]] std::string telemetry_budget() const { return state() + "/telemetry-budget"; }
  [[nodiscard]] std::string release_metadata() const { return state() + "/tuf"; }
  [[nodiscard]] std::string directive_metadata() const { return state() + "/directive-tuf"; }
  [[nodiscard]] std::string boot() const { return state() + "/boot"; }
  [[nodiscard]] std::string facts() const { return state() + "/facts.json"; }
  [[nodiscard]] std::string ca_announcement() const { return state() + "/ca.json"; }
  [[nodiscard]] std::string statsd_socket() const { return run() + "/statsd.sock"; }
  [[nodiscard]] std::string control_socket() const { return run() + "/agent.sock"; }
};

}  // namespace fleet::agent
