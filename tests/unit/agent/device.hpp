#pragma once

#include "agent/trust/verifier.hpp"
#include "agent/commands/daemon.hpp"
#include "agent/update/runner.hpp"
#include "core/crypto/hash.hpp"
#include "core/crypto/x509.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>

namespace fleet::agent {

/// A release whose files lie in staging already, so that no network is needed to install it.
struct SampleRelease {
  std::string version, content, document, digest;
};
using Sample = SampleRelease;  // telemetry has a struct of that name: a second one would be linked in its place

/// Calls a file that the release does not have: fails without running anything.
inline wire::Manifest failing_activation() {
  wire::Manifest manifest;
  manifest.activate = {"bin/no-such-file"};
  return manifest;
}

inline Sample sample(std::string const& version, wire::Manifest manifest = {}) {
  Sample out{version, "model of " + version, {}, {}};
  wire::Release release{"reader", version, 1, {{{"cam-a"}, {{"model.onnx", out.content.size(), crypto::sha256(out.content), false}}}}, std::move(manifest)};
  release.release_counter = static_cast<std::int64_t>(version.back() - '0');
  out.document = wire::encode(release);
  out.digest = crypto::sha256(out.document).hex();
  return out;
}

/// A device on a file system that can be cut: its runner is stepped by the test, its clock is the test's.
class Device {
public:
  Device() {
    fs.put("/agent/agent.yaml", "{}");
    Identity identity{"cam-1", "cam-a", {"https://127.0.0.1:1"}, {}, "KEY", {}, authority()};
    REQUIRE(save_identity(fs, layout, identity).has_value());
    boot();
  }

  /// Starts, as after a power cut or an upgrade. False when it cannot, which only a disk that fails may cause.
  bool boot() {
    runner.reset();
    remotes.reset();
    context.reset();
    auto config = load_config(fs, layout.config());
    if (!config) return false;
    auto opened = open_context(fs, clock, random, layout, *std::move(config), system_clock(), outside);
    if (!opened) return false;
    context = std::move(*opened);
    auto told = load_told(fs, layout.directive());
    run_with(context->identity.servers, context->identity.ca, told ? *told : Told{});
    return true;
  }

  /// A runner that speaks to these servers.
  void run_with(std::vector<std::string> servers, std::string const& ca, Told told = {}) {
    auto identity = context->identity;
    identity.ca = ca;
    runner.reset();
    remotes = std::make_unique<Remotes>(identity, std::move(servers), context->trusted, system_clock());
    runner = std::make_unique<Runner>(*context, *remotes, std::move(told));
    runner->settle_at_start();
  }

  /// What the verifier and the downloads leave behind: the release's document and its files.
  void bring(Sample const& release) {
    fs.put("/agent/models/reader/releases/" + release.digest + ".json", release.document);
    if (!fs.text("/agent/models/reader/versions/" + release.digest + "/model.onnx"))
      fs.put("/agent/models/reader/staging/" + release.digest + "/model.onnx", release.content);
  }

  static wire::DirectiveTarget target(Sample const& release, std::string rollout = "ro-1", std::int64_t attempt = 1) {
    wire::DirectiveTarget out;
    out.model = "reader";
    out.path = "models/reader/" + release.version + "/release.json";
    out.length = release.document.size();
    out.hashes = {{"sha256", release.digest}};
    out.rollout = std::move(rollout);
    out.attempt = attempt;
    out.action = wire::Action::revert;  // what is kept on the device needs no server
    return out;
  }

  /// Of what runs.
  static wire::DirectiveTarget proof_of(Sample const& release, std::string rollout = "ro-9", std::int64_t attempt = 1) {
    auto out = target(release, std::move(rollout), attempt);
    out.action = wire::Action::prove;
    return out;
  }

  /// Runs a release, committed, as an update long ago left it. Starts anew.
  void run_committed(Sample const& release) {
    bring(release);
    REQUIRE(context->slots.install("reader", release.digest, wire::decode_release(release.document)->variants[0]).has_value());
    REQUIRE(context->slots.switch_to("reader", release.digest).has_value());
    ModelState state;
    state.model = "reader";
    state.state = State::committed;
    state.running = state.target = {release.digest, release.version};
    state.rollout = "ro-1";
    state.attempt = 1;
    REQUIRE(context->journal.save(state).has_value());
    REQUIRE(boot());
  }

  /// A directive as the link hands it over: kept first.
  bool direct(std::vector<wire::DirectiveTarget> targets) {
    Told told{++sequence, clock.wall() + std::chrono::days{7}, std::move(targets)};
    if (!save_told(fs, layout.directive(), told)) return false;
    runner->direct(std::move(told));
    return true;
  }

  /// As many rounds as it takes to come to rest; backoffs pass in between.
  void settle(int rounds = 12) {
    for (int i = 0; i < rounds; ++i) {
      runner->round();
      clock.advance(std::chrono::minutes{20});
    }
  }

  [[nodiscard]] ModelState state() const {
    auto const models = runner->models();
    auto const found = models.find("reader");
    return found == models.end() ? ModelState{} : found->second;
  }
  [[nodiscard]] std::string current() const { return context->slots.current("reader").value(); }
  [[nodiscard]] std::vector<wire::UpdateItem> reports() const {
    std::vector<wire::UpdateItem> out;
    auto const report = context->spool->next(64 << 20);
    for (auto const& item : report.items[wire::Tier::critical]) out.push_back(*item.update);
    return out;
  }
  [[nodiscard]] std::vector<std::string> reported_states() const {
    std::vector<std::string> out;
    for (auto const& item : reports()) out.push_back(item.state);
    return out;
  }

  CrashFs fs;
  FakeClock clock{compiled_at() + std::chrono::days{1}};
  SeededRandom random{7};
  Layout layout{"/agent"};
  Outside outside;  ///< from the next start on
  std::int64_t sequence = 0;
  std::unique_ptr<Context> context;
  std::unique_ptr<Remotes> remotes;
  std::unique_ptr<Runner> runner;

private:
  static std::string const& authority() {
    static auto const made = crypto::make_ca("test", compiled_at(), compiled_at() + std::chrono::days{3650}).value();
    return made.certificate;
  }
};

}  // namespace fleet::agent
