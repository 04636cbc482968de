#pragma once

#include "agent/proof/proof.hpp"
#include "agent/trust/verifier.hpp"
#include "agent/context.hpp"
#include "agent/delivery/download.hpp"
#include "agent/update/machine.hpp"

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace fleet::agent {

/// Runs the update machine of every model: compares what the directive says with what the journal has, journals each transition, then
/// acts on it, reports it. One thread calls `loop`; the others are safe from any.
class Runner {
public:
  Runner(Context& context, Remote& remote, Told told);

  void loop();
  /// What `loop` does first, and what it then does again and again: each model as far as it goes without waiting.
  void settle_at_start();
  void round();
  /// A newly accepted directive.
  void direct(Told told);
  /// Where downloads may come from, as the last poll said.
  void set_sources(std::vector<std::string> sources);
  /// The owner returns to the version before, and holds the one that runs. @errors not_found (unknown_model), conflict (nothing_before, busy)
  Result<void> roll_back(std::string const& model);
  /// @errors not_found (unknown_model), conflict (not_held)
  Result<void> unhold(std::string const& model);
  void wake();
  [[nodiscard]] std::map<std::string, ModelState> models() const;
  [[nodiscard]] Told told() const;

private:
  using Target = wire::DirectiveTarget;
  struct Order {
    enum class Kind { roll_back, unhold } kind;
    std::string model;
  };

  void obey(Order const& order);
  void follow(Target const& target);
  void follow_install(Target const& target, ModelState state);
  void follow_return(Target const& target, ModelState state);
  [[nodiscard]] bool is_way_back(Target const& target, ModelState const& state) const;
  void withdraw_unnamed(std::vector<Target> const& targets);
  void work(std::string const& model, Target const* target);

  // One step of the machine each; they journal, then act.
  Result<void> check(ModelState state, Target const& target);
  Result<void> fetch(ModelState state, Target const& target);
  Result<void> fetch_files(ModelState& state, Target const& target, wire::Variant const& variant);
  Result<void> wait_because(ModelState& state, std::string const& why);
  Result<void> wait_or_test(ModelState state, Target const& target);
  Result<void> test(ModelState state);
  Result<void> switch_over(ModelState state);
  Result<void> prove(ModelState state);
  Result<void> go_back(ModelState state);

  Result<ModelState> advance(ModelState state, Event event, wire::DeviceError error = {});
  /// A failure before the golden test: tried again with backoff, up to the policy's attempts.
  Result<void> early_failure(ModelState state, Target const& target, Error const& error);
  Result<ModelState> fail(ModelState state, wire::DeviceError error);
  void show(ModelState const& state);
  void report(ModelState const& state);
  Result<wire::Release> release_of(ModelState const& state) const;
  /// For the steps past the download. Nothing: its document is lost, and the update has failed with `release_lost`.
  Result<std::optional<wire::Release>> release_or_fail(ModelState const& state);
  [[nodiscard]] Candidate candidate_of(ModelState const& state) const;
  [[nodiscard]] Bench bench() const;
  [[nodiscard]] ModelState state_of_model(std::string const& model) const;
  [[nodiscard]] bool still_wanted(ModelState const& state) const;
  [[nodiscard]] bool may_act() const;
  void drop_unwanted_fetch();
  void run_hook(std::vector<std::string> const& words, ModelState const& state);

  Context& context_;
  Remote& remote_;
  Throttle throttle_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = true;
  Told told_;
  std::vector<std::string> sources_;
  std::vector<Order> orders_;
  std::optional<ModelState> fetching_;       ///< whose files are on their way
  std::map<std::string, ModelState> shown_;  ///< what other threads see
  std::map<std::string, MonoTime> retry_at_;
};

[[nodiscard]] std::string digest_of(wire::DirectiveTarget const& target);

}  // namespace fleet::agent
