#include "agent/proof/own_reason.hpp"
#include "agent/proof/proof.hpp"

#include "core/net/client.hpp"
#include "core/proof/process.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {

namespace {

constexpr int kFailuresMax = 3;
constexpr Millis kLookMin{100}, kLookMax{1'000};

/// One check with what it last said.
struct Watched {
  wire::HealthCheck const* check = nullptr;
  MonoTime due{};
  int failures = 0;
  bool good = false;  ///< its last run succeeded
  std::string text;   ///< why not
  bool waits = false;  ///< until somebody mends agent.yaml: no failure
  std::string own;    ///< code of what keeps this device from running it: no evidence against the release
  std::string output;
};

std::string name_of(wire::HealthCheck const& check) {
  if (check.statsd) return check.statsd->metric;
  return check.http.empty() ? check.exec.front() : check.http;
}

}  // namespace

struct ProbationRun::State {
  Bench bench;
  proof::Candidate candidate;
  wire::Manifest manifest;
  MonoTime started;
  ProbationSoFar before;
  std::vector<Watched> checks;
  wire::DeviceError error;

  void run_exec(Watched& one) {
    auto command = proof::resolve(bench.fs, one.check->exec, candidate.slot, bench.config.exec);
    if (!command) return cannot_run(one, command.error());
    command->timeout = one.check->timeout;
    command->environment = proof::environment_of(candidate);
    auto const ran = bench.run(*command, bench.waits, bench.stop);
    if (!ran) return cannot_run(one, ran.error());
    note(one, ran->ok(), ran->text, ran->output);
  }

  static void cannot_run(Watched& one, Error const& error) {
    bool const stopped = error.code == "interrupted";
    bool const waits = !reason_in_config(error.code).empty();
    auto const before = one.failures;
    note(one, stopped, error.detail, {});
    if (stopped) return;
    one.own = error.code;
    if (!waits) return;
    one.failures = before;
    one.waits = true;
  }

  void run_http(Watched& one) {
    net::ClientConfig config;
    config.allow_plain_http = true;
    auto client = net::Client::create(std::move(config), bench.waits);
    if (!client) return note(one, false, client.error().detail, {});
    net::ClientRequest request;
    request.url = one.check->http;
    request.timeout = one.check->timeout;
    request.body_limit = 64 * 1024;
    Interrupt::Watch const watch(bench.stop, [&] { client->cancel(); });
    auto const answer = client->send(request);
    if (!answer && bench.stop.is_raised()) return;
    if (!answer) return note(one, false, answer.error().detail, {});
    note(one, answer->status < 400, fmt::format("answered {}", answer->status), answer->body.substr(0, 1024));
  }

  static void note(Watched& one, bool good, std::string text, std::string output) {
    one.failures = good ? 0 : one.failures + 1;
    one.good = good;
    one.text = std::move(text);
    one.output = std::move(output);
    one.own.clear();
    one.waits = false;
  }

  /// The window has the samples: its value decides at once. Before that it is only missing.
  bool judge_statsd(Watched& one) {
    auto const& rule = *one.check->statsd;
    auto const value = bench.collector.stat(candidate.digest, {rule.metric, rule.window}, rule.stat, rule.samples);
    one.good = value.has_value();
    one.text = fmt::format("fewer than {} samples in {}", rule.samples, to_string(rule.window));
    if (!value) return true;
    bool const inside = (!rule.min || *value >= *rule.min) && (!rule.max || *value <= *rule.max);
    one.text = fmt::format("{} of {} is {:.6g}, outside {} to {}", rule.stat, rule.metric, *value, rule.min ? fmt::format("{:g}", *rule.min) : "-",
                           rule.max ? fmt::format("{:g}", *rule.max) : "-");
    return inside;
  }

  /// False: it failed for good.
  bool look(Watched& one, MonoTime now) {
    if (now < one.due) return true;
    one.due = now + one.check->every;
    if (one.check->statsd) return judge_statsd(one);
    if (one.check->http.empty()) run_exec(one);
    else run_http(one);
    return one.failures < kFailuresMax;
  }

  std::string missing(std::int64_t inferences) const {
    std::string out;
    auto const wanted = manifest.probation ? manifest.probation->inferences : 0;
    if (inferences < wanted) out = fmt::format("{} of {} inferences", inferences, wanted);
    for (auto const& one : checks)
      if (!one.good) out += fmt::format("{}{}: {}", out.empty() ? "" : "; ", name_of(*one.check), one.text.empty() ? "not checked yet" : one.text);
    return out;
  }
};

ProbationRun::ProbationRun(Bench const& bench, proof::Candidate candidate, wire::Manifest const& manifest, ProbationSoFar before)
    : state_(new State{bench, std::move(candidate), manifest, bench.clock.mono(), before, {}, {}}) {
  for (auto const& check : state_->manifest.health) state_->checks.push_back({&check, state_->started, 0, false, {}, false, {}, {}});
  std::vector<Collector::Watched> watched;
  for (auto const& check : state_->manifest.health)
    if (check.statsd) watched.push_back({check.statsd->metric, check.statsd->window});
  bench.collector.watch(state_->candidate.digest, watched);
}

ProbationRun::ProbationRun(ProbationRun&&) noexcept = default;
ProbationRun& ProbationRun::operator=(ProbationRun&&) noexcept = default;
ProbationRun::~ProbationRun() {
  if (state_) state_->bench.collector.watch(state_->candidate.digest, {});  // nobody asks any more, also where it was given up
}

ProbationSoFar ProbationRun::so_far() const {
  auto const& self = *state_;
  return {self.before.spent + (self.bench.clock.mono() - self.started),
          self.before.inferences + self.bench.collector.inferences(self.candidate.digest, self.started)};
}

MonoTime ProbationRun::next_step() const {
  auto const now = state_->bench.clock.mono();
  auto next = now + kLookMax;
  for (auto const& one : state_->checks) next = std::min(next, one.due);
  return std::max(next, now + kLookMin);
}

wire::DeviceError const& ProbationRun::error() const { return state_->error; }

std::string ProbationRun::waits_for() const {
  auto const& checks = state_->checks;
  auto const found = std::find_if(checks.begin(), checks.end(), [](Watched const& one) { return one.waits; });
  return found == checks.end() ? std::string() : found->own;
}

ProbationRun::Verdict ProbationRun::step() {
  auto& self = *state_;
  // Without `probation` a device commits at the switch (docs/protocol.md, Without).
  if (!self.manifest.probation) return Verdict::healthy;
  auto const& rules = *self.manifest.probation;
  auto const now = self.bench.clock.mono();
  for (auto& one : self.checks) {
    if (self.look(one, now)) continue;
    self.error = {one.own.empty() ? "health_failed" : one.own, fmt::format("health check {}: {}", name_of(*one.check), one.text), one.output};
    return Verdict::failed;
  }
  auto const [spent, inferences] = so_far();
  bool const proved = inferences >= rules.inferences && std::all_of(self.checks.begin(), self.checks.end(), [](Watched const& one) { return one.good; });
  if (proved && spent >= rules.time) return Verdict::healthy;
  if (spent < std::max(rules.max, rules.time)) return Verdict::pending;
  bool const only_waits = inferences >= rules.inferences && std::all_of(self.checks.begin(), self.checks.end(), [](Watched const& one) { return one.good || one.waits; });
  if (only_waits) return Verdict::pending;
  self.error = {"probation_timeout", fmt::format("after {}: {}", to_string(std::max(rules.max, rules.time)), self.missing(inferences)), {}};
  return Verdict::failed;
}

}  // namespace fleet::agent
