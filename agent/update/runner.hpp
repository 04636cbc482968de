#pragma once

#include "agent/update/model_update.hpp"
#include "agent/thread.hpp"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace fleet::agent {

/// Lets every model go its own way: a thread for each model that has something to do, none for one at rest (docs/adr/0016). One thread calls
/// `loop`; the others are safe from any.
class Runner {
public:
  /// A directive names so many models at most; further ones would wait for a thread.
  static constexpr std::size_t kThreadsMax = 64;

  Runner(Context& context, Remotes& remotes, Told told);
  ~Runner();

  /// Until the agent stops.
  void loop();
  /// What `loop` does first. Then each model as far as it goes without waiting: what a test does in place of `loop`.
  void settle_at_start();
  void round();
  /// When to go the next round, if nobody has a new word; nothing: only that can move a model.
  [[nodiscard]] std::optional<MonoTime> next_round() const;
  /// One model as far as it goes: for a command where no daemon runs.
  void go(std::string const& model);
  /// One model takes in its owner's orders, and goes nowhere.
  void hear(std::string const& model);
  /// A newly accepted directive.
  void direct(Told told) { wishes_.direct(std::move(told)); }
  /// What updates are brought from besides the network.
  [[nodiscard]] BundleStock& bundles() { return shop_.bundles; }
  /// An answered poll, and where downloads may come from as it said; a failed one.
  void answered(std::vector<std::string> sources);
  void unanswered();
  /// The owner returns to the version before, and holds the one that runs. @errors not_found (unknown_model), conflict (nothing_before)
  Result<void> roll_back(std::string const& model) { return wishes_.order(model, Order::roll_back); }
  /// @errors not_found (unknown_model), conflict (not_held)
  Result<void> unhold(std::string const& model) { return wishes_.order(model, Order::unhold); }
  /// The owner agrees to what the model is on its way to: this release for this rollout and attempt.
  /// @errors not_found (unknown_model), conflict (nothing_waits; consent_not_asked: agent.yaml does not name the model)
  Result<void> consent(std::string const& model);
  /// The agent stops: what goes on ends, and its threads with it. What `loop` does last: what a probation had is kept.
  void stop();
  void rest();
  [[nodiscard]] std::map<std::string, ModelState> models() const { return wishes_.models(); }
  [[nodiscard]] Told told() const { return wishes_.told(); }
  /// Whose update an order for a model is for (wishes.hpp).
  [[nodiscard]] std::string owner_of(std::string const& model) const { return wishes_.owner_of(model); }
  /// Some model works on an update, or proves.
  [[nodiscard]] bool is_working() const;

private:
  /// One model, and its thread while it has one.
  struct Lane {
    Lane(Shop& shop, std::string const& model) : update(shop, model) {}
    ModelUpdate update;
    bool woken = true;
    bool done = false;  ///< its thread has ended or is about to
    std::unique_ptr<Thread> thread;
  };
  void wake(std::string const& model);
  void wake_due();
  void run(Lane& lane);
  void give_threads();
  [[nodiscard]] bool is_waiting_for_thread() const;

  Context& context_;
  Contact contact_;
  Wishes wishes_;
  Shop shop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::map<std::string, std::unique_ptr<Lane>> lanes_;
};

}  // namespace fleet::agent
