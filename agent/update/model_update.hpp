#pragma once

#include "agent/conditions/conditions.hpp"
#include "agent/conditions/update_lock.hpp"
#include "agent/conditions/variant_choice.hpp"
#include "agent/context.hpp"
#include "agent/delivery/bundled.hpp"
#include "agent/delivery/download.hpp"
#include "agent/handlers/installer.hpp"
#include "agent/proof/proof.hpp"
#include "agent/slots/retention.hpp"
#include "agent/trust/signed_release.hpp"
#include "agent/trust/verifier.hpp"
#include "agent/update/claims.hpp"
#include "agent/update/contact.hpp"
#include "agent/update/joint_probation.hpp"
#include "agent/update/machine.hpp"
#include "agent/update/parts.hpp"
#include "agent/update/turn.hpp"
#include "agent/update/wishes.hpp"

#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fleet::agent {

/// What the updates of all models share; each part is thread-safe.
struct Shop {
  Context& context;
  Remotes& remotes;
  Wishes& wishes;
  Contact& contact;
  Throttle throttle;
  Conditions conditions;
  Sources sources;
  UpdateLock lock;
  BundleStock bundles = {};
  Claims claims = {};  ///< whose update moves which model
  Turn metadata = {};  ///< whose turn it is to refresh the release metadata
  Helpers helpers{context.outside.alone ? 0 : kHelpersMax};
  Assemblers assemblers{kAssemblersMax};
};

/// Why something waits, where a program of the owner holds the lock; where a member of a set is at work by itself.
inline constexpr std::string_view kUpdateLock = "update_lock", kMemberBusy = "member_busy";
/// A test of the agent's own program takes so long at most.
inline constexpr Millis kOwnTestTimeout = std::chrono::minutes{2};
/// Why something waits, where the program that installs wants to be asked again.
inline constexpr std::string_view kInstallerBusy = "installer_busy";

/// Made fit for journal and report: printable ASCII, cut at what the server takes.
[[nodiscard]] wire::DeviceError fit_to_tell(wire::DeviceError error);
[[nodiscard]] wire::DeviceError told_of(Error const& error);

/// The update machine of one model, or of a set and all its members (docs/adr/0029): compares what is wanted with what the journal has, journals each transition, then acts on it, reports it.
/// One thread at a time calls `go`; what it waits for ends when the model's interrupt is raised.
class ModelUpdate {
public:
  ModelUpdate(Shop& shop, std::string model);

  /// At start, once, before any `settle`: a set that was at work has its members again.
  void claim_at_start();
  /// What is in memory alone and was taken by a boot is made again: at start, and each half minute until it is there (a TPM comes up late).
  void fill_memory();
  /// At start, once: the journal is compared with what lies there, and what was journalled and not told is told.
  void settle();
  /// Obeys what is wanted now and goes as far as it can without waiting for a time or a condition.
  void go();
  /// Only the owner's orders.
  void hear();
  /// The agent stops in an orderly way: what a probation had is kept.
  void stop();
  /// At rest, and a golden test of what runs is to be run again: looked at whenever the device has spoken, or tried to, with its server. From any thread.
  [[nodiscard]] bool is_due(MonoTime at) const { return at.time_since_epoch().count() >= due_; }
  /// When to go again without being woken; nothing: only a new word can move it.
  [[nodiscard]] std::optional<MonoTime> next_look() const { return next_look_; }

private:
  using Target = wire::DirectiveTarget;

  // What a word means to this model (follow.cpp).
  void obey_all(std::vector<Order> const& orders);
  Result<void> obey(Order order);
  void consider(Target const* target);
  void follow(Target const& target);
  void follow_install(Target const& target);
  void follow_return(Target const& target);
  void follow_prove(Target const& target);
  void begin(Target const& target, ModelState state);
  void adopt(Target const& target, ModelState state);
  void give_way(ModelState state);
  void resume();
  /// Shows why it waits where that is no state of its own: before a return.
  void show_waiting(ModelState state, std::string const& why);
  [[nodiscard]] bool is_way_back(Target const& target, ModelState const& state) const;
  /// Steps until one changes nothing; `target` is what the directive has for this model.
  void work(Target const* target);
  Result<void> step(ModelState const& state, Target const* target);

  // One step of the machine each; they journal, then act (bring_steps.cpp, fetch_steps.cpp, run_steps.cpp).
  Result<void> check(ModelState state, Target const& target);
  void keep_signed(ReleaseSource& source, std::string const& model, std::string const& digest);
  Result<void> fetch(ModelState state, Target const& target);
  /// A part that is missing, and the download that brings it; of a set itself, none.
  struct FetchedPart {
    Part part;
    std::string slot;  ///< by name
    wire::Variant variant;
    std::unique_ptr<Download> download;
  };
  /// Copies what a bundle has of the release into its staging folders, once for each bundle. True: nothing is missing then.
  Result<bool> bring_bundled(ModelState const& state);
  Result<bool> bring_bundled(Part const& part, bundle::Bundle const& bundle);
  struct BundledWays {
    crypto::DataKey key;
    std::map<Digest, Digest> recipes;  ///< by the file that each makes
  };
  [[nodiscard]] Result<std::optional<BundledWays>> ways_in_bundle(Part const& part, bundle::Bundle const& bundle) const;
  Result<bool> copy_bundled(std::string const& model, Place const& place, bundle::Bundle const& bundle, std::optional<BundledWays> const& ways);
  Result<void> plan_fetch(ModelState const& state);
  Result<std::optional<wire::ReleaseRoutes>> routes_of(Part const& part);
  [[nodiscard]] std::string fetch_blocked(Target const& target);
  [[nodiscard]] bool lacks_ways() const;
  [[nodiscard]] Result<std::optional<crypto::DataKey>> data_key_of(Part const& part) const;
  [[nodiscard]] Result<std::string> wrapped_key_of(Part const& part) const;
  Result<void> place_in_memory(Part const& part);
  Result<void> check_memory(Part const& part, wire::Variant const& variant);
  Result<bool> is_whole_in_memory(Part const& part, Place const& place, bool whole);
  Result<void> bring_all(ModelState& state, Target const& target);
  Result<void> fetch_files(ModelState& state, Target const& target, FetchedPart& one);
  Result<bool> is_whole(Part const& part, Place const& place);
  Result<void> make_slot(FetchedPart const& one);
  Result<void> bring_document(Part const& part);
  Result<void> wait_because(ModelState& state, std::string const& why);
  [[nodiscard]] bool has_room(ModelState& state) const;
  Result<void> wait_or_go_on(ModelState state, Target const& target);
  [[nodiscard]] bool lacks_consent(ModelState const& state, Target const& target) const;
  /// Whether the owner's lock keeps it back; where not it is ours, until `lock_` goes.
  Result<bool> is_locked(ModelState& state);
  Result<void> test(ModelState state);
  /// Golden test and shadow of one part. @returns bytes of memory that it needs to be loaded
  Result<std::uint64_t> test_part(ModelState const& state, Part const& part, Millis of_all);
  Result<void> run_shadow(ModelState const& state, Part const& part, Millis of_all);
  [[nodiscard]] bool is_shadowed(ModelState const& state, Part const& part) const;
  /// What runs of a part now.
  [[nodiscard]] Version runs_of(ModelState const& state, Part const& part) const;
  /// Whether a part is loaded while what runs of it still is.
  [[nodiscard]] bool loads_beside(ModelState const& state, Part const& part) const;
  /// The golden test of what runs once more, where its time has come or the device is another than it was (again_steps.cpp). What runs stays.
  void check_again();
  /// @returns what came of it: `code` and `text`. @errors interrupted; this device's own
  Result<wire::DeviceError> check_what_runs(ModelState const& state, wire::Manifest const& manifest);
  void conclude(ModelState state, wire::DeviceError const& found);
  [[nodiscard]] bool begin_again(ModelState& state);
  /// Another variant of what runs, where the device's own condition says so (power_steps.cpp).
  void follow_power();
  Result<void> switch_variant(ModelState& state, std::string const& name, std::string const& why);
  Result<void> finish_variant(ModelState& state, std::string const& name, std::string const& why);
  [[nodiscard]] static std::string shown_variant(std::string const& name);
  /// False: what its manifest says of what runs cannot be read.
  bool know_standing(ModelState const& state);
  void due_in(Millis time) { due_ = (now() + time).time_since_epoch().count(); }
  /// What people should know, told once while this agent runs.
  void note(std::string const& code, std::string const& text);
  Result<void> check_unchanged(Part const& part) const;
  Result<void> switch_over(ModelState state);
  Result<void> prove(ModelState state);
  Result<void> commit(ModelState state);
  Result<void> end_proof(ModelState state);
  Result<void> go_back(ModelState state);

  Result<ModelState> advance(ModelState state, Event event, wire::DeviceError error = {});
  /// A failure before the golden test: tried again with backoff, until the policy's patience is over (docs/protocol.md, Attempts).
  Result<void> early_failure(ModelState state, Target const& target, Error const& error);
  /// An error of this device's own past the download: the reason is shown, and the step is taken again later, as often as need be.
  Result<void> wait_for_own(ModelState state, Error const& error);
  /// The same where no step could keep it.
  void trouble(ModelState state, Error const& error);
  [[nodiscard]] Millis next_backoff(bool begins_anew);
  void rest_for(Millis pause);
  Result<ModelState> fail(ModelState state, wire::DeviceError error);
  /// A program that is started anew each time has its time-out for itself, and all its starts together three of them: restarts that go on for ever,
  /// orderly ones too, end.
  /// @param of_all  the time-outs of all programs of the step
  static Millis time_left(Millis timeout, Millis of_all, ModelState const& state);
  /// Journals that a start of a step that runs the release begins. False: the third in a row never ended; it has failed.
  Result<bool> start(ModelState& state);
  /// An ordinary end of a start, by a stop or another wish: it counts no more, the time it took does.
  Result<void> pause(ModelState state, Millis spent);
  [[nodiscard]] Keep kept_by_owner() const;
  /// What is kept of releases that the device needs no more goes; the link of the way back is made ready.
  void give_back(ModelState const& state, Keep const& keep);
  void show(ModelState const& state);
  /// Samples of what runs count as its, and as it declares them.
  void measure(std::string const& model, std::string const& digest);
  void report(ModelState const& state);
  Result<wire::Release> release_of(ModelState const& state) const;
  Result<std::vector<Part>> parts_of(ModelState const& state) const;
  /// For the steps past the download. Nothing: a document is lost, and the update has failed with `release_lost`.
  Result<std::optional<std::vector<Part>>> parts_or_fail(ModelState const& state);
  /// For what `current` points at now; once it is gone, for what it pointed at.
  void run_hook(std::vector<std::string> const& words, std::string const& model, Version const& version, std::string const& variant = {});

  // Of a program of the owner that installs (install_steps.cpp): nothing, where the handler is none of them.
  Result<void> ask(Verb verb, std::string const& model, Version const& version, wire::Release const& release, std::string const& previous);
  [[nodiscard]] std::optional<Installation> installation_of(std::string const& model, Version const& version, wire::Release const& release, std::string const& previous) const;
  [[nodiscard]] std::optional<wire::Release> kept_release(std::string const& model, std::string const& digest) const;
  Result<void> install_parts(ModelState const& state);
  Result<void> uninstall(std::string const& model, Version const& from, Version const& to);
  void collect_installed(std::string const& model, std::set<std::string> const& kept);
  [[nodiscard]] std::optional<Version> runs_instead(ModelState const& state);
  void settle_installed();
  Result<void> fall_back(ModelState state, Version const& other);
  /// Digest of what a part's model ran before the switch; empty: none.
  [[nodiscard]] std::string ran_before(ModelState const& state, Part const& part) const;

  // Of the agent's own program (own_steps.cpp).
  /// This is the model of this program, and it can be another one.
  [[nodiscard]] bool is_own() const { return model_ == wire::kAgentModel && context_.outside.own.has_value(); }
  /// Whether it starts, reads what lies here and reaches the server, by its own word.
  Result<void> test_own(Part const& part);
  /// Before the link leads to it: who starts it must know.
  Result<void> begin_trial(ModelState const& state, Part const& part);
  void end_trial();
  /// The agent's own program is never without: what its manifest leaves open is put there.
  static wire::Probation own_probation(wire::Manifest& manifest);
  [[nodiscard]] static Millis longest_probation(wire::Probation const& rules) { return std::max(rules.max, rules.time); }
  /// True: `current` leads to another program since this one runs, which has been asked to give way.
  bool gives_way_to_current();
  /// The journal has another program than this one as what runs: who starts it went back, or could not start that.
  [[nodiscard]] bool is_another_program(ModelState const& state) const;
  /// At rest, at the start and until the disk takes it: the journal has what runs, and a trial that it knows the end of is over.
  void settle_own();

  // Of a set (set_steps.cpp).
  [[nodiscard]] bool is_member(Part const& part) const { return part.model != model_; }
  /// What it moves beside itself: members of what it runs, ran, and is on its way to.
  [[nodiscard]] std::vector<std::string> member_models(ModelState const& state) const;
  [[nodiscard]] std::vector<std::string> members_of_release(std::string const& digest) const;
  /// What it moves now; false: another has it.
  bool claim(ModelState const& state);
  /// All that it moves, from its test to its rest; false: a member is at work by itself, and is waited for.
  bool claim_members(ModelState const& state);
  void give_claims();
  Result<void> check_members(ReleaseSource& source, wire::Release const& set, ModelState const& state);
  Result<void> check_kept_members(wire::Release const& set) const;
  /// What a way back needs, into the record that says `switching`.
  void note_before(ModelState& state, std::vector<Part> const& parts) const;
  /// True: it moved, and is to be activated.
  Result<bool> switch_part(ModelState const& state, Part const& part);
  Result<void> take_back(ModelState const& state, MemberBefore const& member);
  Result<void> commit_member(ModelState const& state, Part const& part);
  /// A member runs something else by now: the set runs no more.
  void look_whether_broken();
  void wake_sets();
  [[nodiscard]] wire::DeviceError about(Part const& part, wire::DeviceError error) const;
  [[nodiscard]] std::shared_ptr<Lines> lines();
  /// Of the directive that is obeyed: the bundle that brought it, while that can be read; else the server.
  [[nodiscard]] Result<std::unique_ptr<ReleaseSource>> releases(Lines& lines);
  [[nodiscard]] std::uint64_t staged_bytes(ModelState const& state) const;
  [[nodiscard]] proof::Candidate candidate_of(std::string const& model, Version const& version, std::string const& variant = {}) const;
  [[nodiscard]] proof::Candidate candidate_of(Part const& part) const { return candidate_of(part.model, part.version); }
  [[nodiscard]] Bench bench();
  [[nodiscard]] ModelState state() const;
  /// A switch that goes on counts as made: from there it goes back like a version that runs.
  [[nodiscard]] ModelState settled(ModelState state) const;
  [[nodiscard]] MonoTime now() const { return context_.clock.mono(); }
  void look_again_in(Millis time);
  [[nodiscard]] int times_found() const { return shop_.contact.times() + shop_.bundles.times(); }
  void log_failed(std::string_view doing, Error const& error) const;

  Shop& shop_;
  Context& context_;
  std::string model_;
  Interrupt& interrupt_;
  mutable std::map<std::string, std::vector<std::string>> members_;  ///< models of a release's members, by its digest; empty: it is no set's
  std::shared_ptr<Lines> lines_;  ///< while it is at work
  struct Fetching {
    std::string digest;
    MonoTime planned{};
    std::vector<FetchedPart> parts;
  };
  std::optional<Fetching> fetching_;  ///< planned, while it waits to be fetched
  std::set<Digest> spent_;            ///< recipes of the target that led nowhere
  Millis ask_for_ways_{0};            ///< when to look again whether the server has encrypted the target
  std::uint64_t to_fetch_ = 0;        ///< bytes, when it was asked last
  std::optional<JointProbation> probation_;  ///< in probation, or proving
  UpdateLock::Hold lock_;                  ///< from the last look at it to the switch
  std::optional<MonoTime> refused_since_;  ///< when the lock first kept it back
  bool counted_ = false;  ///< this start of the step is in its count: another try of it in this process is none
  MonoTime kept_{};  ///< when the time of the probation was journalled last
  bool may_act_ = false;
  std::string noted_;  ///< the last note
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  std::atomic<std::int64_t> due_{kNever};  ///< of the clock's own, milliseconds
  std::optional<MonoTime> fill_at_ = MonoTime{};  ///< when to look again for what is in memory alone; nothing: all of it is there
  /// What a manifest says of what runs, so that it is not read at each wake.
  struct Standing {
    std::string digest;
    bool asks = false;  ///< a golden test or a runtime
    Millis again{0};
    std::vector<VariantChoice> choices;
  };
  Standing standing_;
  std::optional<std::string> wanted_variant_;  ///< at the last look
  MonoTime variant_stays_until_{};
  std::int64_t sequence_ = 0;         ///< of the directive that is obeyed
  std::pair<int, std::string> bundled_;  ///< which bundle was looked through for which digest
  bool all_bundled_ = false;             ///< and had all that was missing
  std::vector<std::string> revoked_;  ///< no place to go back to by itself
  std::string ordered_;               ///< digest that the directive returns to
  std::optional<MonoTime> next_look_;
  std::optional<MonoTime> quiet_until_;  ///< after a failure before the golden test
  int contacts_ = 0;                     ///< how often the server, or a bundle, had been found when it failed
  int backoff_ = 0;                      ///< failures in a row without progress
  std::uint64_t staged_seen_ = 0;        ///< of the target, at the last failure; the journal may have less
  wire::Probation own_rules_;            ///< of the probation of the agent's own program
  bool asked_to_restart_ = false;
  bool on_trial_ = true;                 ///< who starts it may have it so
  std::string own_link_;  ///< where `current` led when this program began; of the agent's own model
  bool in_trouble_ = false;              ///< what is shown is not what is kept
  Millis contact_seen_{0};               ///< of the contact's time, what `stalled` has
};

}  // namespace fleet::agent
