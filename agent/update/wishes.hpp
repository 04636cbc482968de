#pragma once

#include "agent/store/model_state.hpp"
#include "agent/trust/verifier.hpp"
#include "agent/proof/interrupt.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fleet::agent {

/// What the device's owner asks for at the control socket.
enum class Order { roll_back, unhold, consent };

/// What is wanted of one model now.
struct Wish {
  std::optional<wire::DirectiveTarget> target;  ///< nothing: the directive does not name it
  std::vector<std::string> revoked;             ///< digests that are no place to go back to
  bool may_act = false;                         ///< before the directive's `act_before`
  std::int64_t sequence = 0;                    ///< of that directive
  std::vector<Order> orders;                    ///< of the owner, each handed out once
};

/// Where a model goes back to from what runs: the version before, past what was revoked; none when nothing stands.
/// @param ordered  digest that the directive itself returns to: it may
[[nodiscard]] Version place_to_return(ModelState const& state, std::vector<std::string> const& revoked, std::string const& ordered = {});
[[nodiscard]] std::string digest_of(wire::DirectiveTarget const& target);
/// The members of a set that a directive names.
[[nodiscard]] std::vector<wire::DirectiveTarget> members_of(Told const& told, std::string const& set);
/// Whether `target` is what `state` works on.
[[nodiscard]] bool is_work_on(wire::DirectiveTarget const& target, ModelState const& state);

/// What the fleet and the owner want of every model, and what every model shows of itself. The link and the control socket write here, the models'
/// updates read here; what a new word overtakes is interrupted there and then. Thread-safe.
class Wishes {
public:
  /// @param wake  called for each model that has something new to look at
  Wishes(Told told, std::map<std::string, ModelState> shown, std::function<void(std::string const& model)> wake);

  /// A newly accepted directive.
  void direct(Told told);
  /// @errors not_found (unknown_model), conflict (nothing_before, not_held, nothing_waits)
  Result<void> order(std::string const& model, Order order);
  /// One that was taken and could not be kept: it is handed out once more.
  void again(std::string const& model, Order order);
  /// Everything that goes on is to end: the agent stops.
  void stop();

  /// What is wanted of a model; what comes later interrupts anew.
  [[nodiscard]] Wish take(std::string const& model, SysTime now);
  /// Whether what a state works on is still to be switched to.
  [[nodiscard]] bool is_wanted(ModelState const& state, SysTime now) const;
  [[nodiscard]] Interrupt& interrupt(std::string const& model);
  void show(ModelState const& state);
  /// Digests of a model's releases that are no place to go back to.
  [[nodiscard]] std::vector<std::string> revoked_of(std::string const& model) const;
  /// Something that a model waited for has come: it looks again.
  void wake(std::string const& model) { wake_(model); }
  /// Whose update an order for a model is for: the set's that it runs as a member of, or is on its way to; else its own.
  [[nodiscard]] std::string owner_of(std::string const& model) const;
  [[nodiscard]] std::map<std::string, ModelState> models() const;
  [[nodiscard]] Told told() const;

private:
  [[nodiscard]] wire::DirectiveTarget const* entry_of(std::string const& model) const;
  [[nodiscard]] wire::DirectiveTarget const* target_of(std::string const& model) const;
  [[nodiscard]] Result<void> check_way_back(ModelState const& state) const;
  [[nodiscard]] std::string set_that_runs(std::string const& model) const;
  [[nodiscard]] std::string set_that_is_told(std::string const& model) const;
  mutable std::mutex mutex_;
  std::function<void(std::string const&)> wake_;
  Told told_;
  std::map<std::string, ModelState> shown_;
  std::map<std::string, std::vector<Order>> orders_;
  std::map<std::string, std::unique_ptr<Interrupt>> interrupts_;
  bool stopped_ = false;
};

}  // namespace fleet::agent
