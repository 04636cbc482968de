#include "server/store/writer.hpp"

#include "core/base/log.hpp"
#include "server/store/queries.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <future>
#include <iterator>
#include <utility>

namespace fleet::store {
namespace {

constexpr auto kContactsEvery = std::chrono::seconds{5};
constexpr std::size_t kContactsAtOnce = 1'000;

Error full(Lane lane) {
  auto const& rules = kLaneRules[static_cast<std::size_t>(lane)];
  return {Kind::unavailable, "busy", fmt::format("{} writes wait in the lane of {} already", rules.waiting_max, rules.name), "try again in a moment"};
}

Error closed() { return {Kind::unavailable, "shutting_down", "the server is shutting down", "try again in a moment"}; }

[[noreturn]] void die(std::string_view doing, Error const& error) {
  log::error("store.commit_failed", {{"doing", doing},
                                     {"code", error.code},
                                     {"error", error.detail},
                                     {"hint", error.hint},
                                     {"then", "the process ends: nothing is acknowledged that may not be on the disk"}});
  ::_exit(1);
}

class JobTx final : public Tx {
public:
  JobTx(db::Connection& connection, Epochs& epochs) : Tx(connection), epochs_(epochs) {}
  void after_commit(std::function<void()> hook) override { hooks.push_back(std::move(hook)); }
  void raise_policy_epoch() override {
    hooks.emplace_back([&epochs = epochs_] { epochs.raise_policy(); });
    tell_others("policy", "");
  }
  void raise_device_epoch(std::int64_t device_n) override {
    hooks.emplace_back([&epochs = epochs_, device_n] { epochs.raise_device(device_n); });
    tell_others("device", std::to_string(device_n));
  }
  void raise_event_epoch() override {
    hooks.emplace_back([&epochs = epochs_] { epochs.raise_events(); });
    tell_others("events", "");
  }
  void tell_others(std::string what, std::string which) override { changes.push_back({std::move(what), std::move(which)}); }
  std::vector<std::function<void()>> hooks;
  std::vector<Change> changes;

private:
  Epochs& epochs_;
};

struct Outcome {
  Result<void> result;
  std::vector<std::function<void()>> hooks = {};
  std::vector<Change> changes = {};
};

Result<void> call(Store::Job const& job, Tx& tx) {
  try {
    return job(tx);
  } catch (std::exception const& bug) {
    log::error("store.job_threw", {{"error", bug.what()}});
    return Error{Kind::internal, "internal", bug.what()};
  }
}

/// What takes a whole transaction back and is refused before anything is acknowledged, with the database as it was or, of `commit_unknown`, as somebody else
/// can tell. After any other failure neither SQLite nor the kernel knows what the disk holds.
constexpr auto kSurvivable = std::to_array<std::string_view>({"disk_full", "run_again", "database_gone", "database_read_only", "commit_unknown"});

Error survivable(std::string_view doing, Error const& error) {
  if (std::find(kSurvivable.begin(), kSurvivable.end(), error.code) == kSurvivable.end()) die(doing, error);
  return error;
}

/// Nobody may go on in a transaction whose savepoints do not hold.
Outcome broken(db::Connection& connection, std::string_view doing, Error const& error) {
  if (connection.in_transaction()) die(doing, error);
  return {error};
}

/// Runs one job in a savepoint. Where the whole transaction is lost, the connection is in none afterwards.
Outcome run_job(db::Connection& connection, Epochs& epochs, Store::Job const& job) {
  if (auto const opened = connection.prepare(kSavepoint).run(); !opened) return broken(connection, "savepoint", opened.error());
  JobTx tx(connection, epochs);
  auto result = call(job, tx);
  // What it did not wait for is its own, too; and PostgreSQL takes nothing more after a statement that failed, whatever the job made of it.
  if (auto const late = connection.await(); result && !late) result = late.error();
  if (!connection.in_transaction()) return {result};
  if (result) {
    auto const released = connection.prepare(kReleaseJob).run();
    if (!released) return broken(connection, "release a job", released.error());
    return {result, std::move(tx.hooks), std::move(tx.changes)};
  }
  for (auto const* const query : {&kUndoJob, &kReleaseJob})
    if (auto const undone = connection.prepare(*query).run(); !undone) return broken(connection, "undo a job", undone.error());
  return {result};
}

/// Reads for all of a fold, then runs them.
Result<void> run_together(Tx& tx, std::span<Writer::Item const> items) {
  if (auto const& fold = items.front().fold) {
    std::vector<std::int64_t> keys;
    for (auto const& item : items) keys.push_back(item.key);
    FLEET_CHECK(fold->load(tx, keys));
  }
  for (auto const& item : items) FLEET_CHECK(item.job(tx));
  return {};
}

/// One job, or those of a fold in one savepoint, and where that fails each in its own. An outcome each; the first has the hooks of those that ran together.
std::vector<Outcome> run_items(db::Connection& connection, Epochs& epochs, std::span<Writer::Item const> items) {
  auto first = run_job(connection, epochs, [items](Tx& tx) { return run_together(tx, items); });
  std::vector<Outcome> out;
  if (first.result || items.size() == 1 || !connection.in_transaction()) {
    out.resize(items.size(), {first.result});
    out.front().hooks = std::move(first.hooks);
    out.front().changes = std::move(first.changes);
    return out;
  }
  while (out.size() < items.size()) {
    out.push_back(run_items(connection, epochs, items.subspan(out.size(), 1)).front());
    if (!connection.in_transaction()) out.resize(items.size(), out.back());
  }
  return out;
}

/// Why a job's connection is in no transaction any more. A job may hide it; a connection that broke says so again.
Error why_lost(db::Connection& connection, Result<void> const& job) {
  if (!job && job.error().code == "disk_full") return job.error();
  auto const asked = connection.prepare(kRollback).run();
  if (!asked && asked.error().code == "database_gone") return asked.error();
  if (job) die("job", {Kind::internal, "transaction_lost", "a job ended the transaction that it was lent"});
  die("job", job.error());
}

/// What follows a commit must not keep the others of its group from being answered.
template <class F>
void after(F const& callback) {
  try {
    callback();
  } catch (std::exception const& bug) {
    log::error("store.callback_threw", {{"error", bug.what()}});
  }
}

}  // namespace

Writer::Writer(db::Connection connection, Epochs& epochs, Turns& turns, Contacts& contacts, Clock& clock)
    : connection_(std::move(connection)), epochs_(epochs), turns_(turns), contacts_(contacts), clock_(clock) {
  thread_ = std::thread([this] { loop(); });
}

Writer::~Writer() { stop(); }

void Writer::submit(Lane lane, Item item) {
  std::optional<Error> refused;
  {
    std::lock_guard const lock(mutex_);
    if (stopping_) refused = closed();
    else if (!lanes_.put(lane, item)) refused = full(lane);
  }
  if (refused) return item.done(*refused);
  wake_.notify_one();
}

Result<void> Writer::run(Lane lane, Job job) {
  std::promise<Result<void>> promise;
  auto answer = promise.get_future();
  submit(lane, {std::move(job), [&promise](Result<void> result) { promise.set_value(std::move(result)); }});
  return answer.get();
}

std::array<Lanes::Figures, kLanes> Writer::lanes() const {
  std::lock_guard const lock(mutex_);
  return lanes_.figures();
}

void Writer::stop() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (!thread_.joinable()) return;
  thread_.join();
  auto const closed = std::move(connection_);  // at once: another may be alone on the database from now on
}

void Writer::loop() {
  auto next_flush = clock_.mono() + kContactsEvery;
  for (;;) {
    bool stopping = false, idle = false;
    {
      std::unique_lock lock(mutex_);
      auto const until = contacts_.is_flushing() ? Millis{0} : next_flush - clock_.mono();
      wake_.wait_for(lock, until, [&] { return stopping_ || !lanes_.empty(); });
      idle = lanes_.empty();
      stopping = stopping_ && idle;
    }
    if (!idle) write_group();
    if (stopping || clock_.mono() >= next_flush) {
      contacts_.begin_flush();
      next_flush = clock_.mono() + kContactsEvery;
    }
    do flush_contacts();
    while (stopping && contacts_.is_flushing());
    settle(stopping);
    if (stopping) return;
  }
}

struct Writer::Written {
  Item item;
  Outcome outcome;
};

std::vector<Writer::Item> Writer::take(Lanes::Group& group) {
  std::lock_guard const lock(mutex_);
  return lanes_.next(group);
}

std::optional<Error> Writer::run_jobs(std::vector<Written>& written) {
  auto const begun = clock_.mono();
  Lanes::Group group;
  for (auto items = take(group); !items.empty(); items = take(group)) {
    auto outcomes = run_items(connection_, epochs_, items);
    for (std::size_t i = 0; i < items.size(); ++i) written.push_back({std::move(items[i]), std::move(outcomes[i])});
    if (!connection_.in_transaction()) return why_lost(connection_, written.back().outcome.result);
    group.age = clock_.mono() - begun;
  }
  std::vector<Change> changes;
  for (auto& one : written) std::move(one.outcome.changes.begin(), one.outcome.changes.end(), std::back_inserter(changes));
  if (auto const told = turns_.tell(connection_, std::move(changes)); !told) return told.error();
  auto const committed = connection_.prepare(kCommit).run();
  if (committed) {
    turns_.committed();
    return std::nullopt;
  }
  auto lost = survivable("commit", committed.error());
  if (lost.code == "commit_unknown") {  // what was remembered may be old
    epochs_.raise_policy();
    epochs_.raise_events();
  }
  return lost;
}

void Writer::write_group() {
  std::vector<Written> group;
  if (auto const begun = begin(); !begun) {
    Lanes::Group none;
    for (auto items = take(none); !items.empty(); items = take(none))
      for (auto const& item : items) after([&] { item.done(begun.error()); });
    return;
  }
  if (auto const lost = run_jobs(group)) {
    undo();
    for (auto& written : group) written.outcome = {*lost};
  }
  for (auto const& written : group)
    for (auto const& hook : written.outcome.hooks) after(hook);
  for (auto const& written : group) after([&] { written.item.done(written.outcome.result); });
}

Result<void> Writer::begin() {
  FLEET_CHECK(connection_.prepare(kBegin).run());
  auto const begun = turns_.begin(connection_);
  if (!begun) undo();
  return begun;
}

void Writer::undo() {
  if (!connection_.in_transaction()) return;
  if (auto const undone = connection_.prepare(kRollback).run(); !undone) static_cast<void>(survivable("rollback", undone.error()));
}

void Writer::flush_contacts() {
  if (!contacts_.is_flushing()) return;
  auto const flushed = [&]() -> Result<void> {
    FLEET_CHECK(begin());
    FLEET_CHECK(contacts_.flush(connection_, turns_.node(), kContactsAtOnce));
    return connection_.prepare(kCommit).run();
  }();
  if (flushed) {
    contacts_.flushed();
    contacts_kept_ = false;
    return;
  }
  if (flushed.error().kind == Kind::io) die("contacts", flushed.error());
  if (!std::exchange(contacts_kept_, true)) log::warn("store.contacts_kept", {{"error", flushed.error().detail}});  // once, however long it lasts
  undo();
  contacts_.put_off();
}

void Writer::settle(bool closing) {
  auto const done = connection_.settle(closing);
  if (done) return;
  if (done.error().code != "disk_full") die("settle", done.error());
  log::warn("store.checkpoint_waits", {{"error", done.error().detail}});  // what was committed stays in the log
}

}  // namespace fleet::store
