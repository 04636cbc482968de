#include "server/store/writer.hpp"

#include "core/base/log.hpp"

#include <unistd.h>

#include <chrono>
#include <future>

namespace fleet::store {
namespace {

constexpr std::size_t kBatchMax = 1000;
constexpr auto kContactsEvery = std::chrono::seconds{5};
constexpr int kCheckpointEvery = 200;  // commits

Error closed() { return {Kind::unavailable, "shutting_down", "the server is shutting down", "try again in a moment"}; }

[[noreturn]] void die(std::string_view doing, Error const& error) {
  log::error("store.commit_failed", {{"doing", doing}, {"error", error.detail}, {"then", "the process ends: nothing is acknowledged that may not be on the disk"}});
  ::_exit(1);
}

class JobTx final : public Tx {
public:
  JobTx(db::Connection& connection, Epochs& epochs) : Tx(connection), epochs_(epochs) {}
  void after_commit(std::function<void()> hook) override { hooks.push_back(std::move(hook)); }
  void raise_policy_epoch() override {
    hooks.emplace_back([&epochs = epochs_] { epochs.raise_policy(); });
  }
  void raise_device_epoch(std::int64_t device_n) override {
    hooks.emplace_back([&epochs = epochs_, device_n] { epochs.raise_device(device_n); });
  }
  std::vector<std::function<void()>> hooks;

private:
  Epochs& epochs_;
};

struct Outcome {
  Result<void> result;
  std::vector<std::function<void()>> hooks;
};

/// One job in a savepoint. An I/O error while it runs leaves the transaction in doubt: fatal like a failed commit.
Outcome run_job(db::Connection& connection, Epochs& epochs, Store::Job const& job) {
  if (auto const opened = connection.script("SAVEPOINT job"); !opened) die("savepoint", opened.error());
  JobTx tx(connection, epochs);
  auto result = [&]() -> Result<void> {
    try {
      return job(tx);
    } catch (std::exception const& bug) {
      return Error{Kind::internal, "internal", bug.what()};
    }
  }();
  if (!result && result.error().kind == Kind::internal) log::error("store.job_threw", {{"error", result.error().detail}});
  if (!result)
    if (auto const undone = connection.script("ROLLBACK TO job"); !undone) return {result, {}};  // the transaction itself is gone: the commit will say so
  if (auto const released = connection.script("RELEASE job"); !released && result) result = released.error();
  return {result, result ? std::move(tx.hooks) : std::vector<std::function<void()>>{}};
}

}  // namespace

Writer::Writer(db::Connection connection, Epochs& epochs, Contacts& contacts) : connection_(std::move(connection)), epochs_(epochs), contacts_(contacts) {
  thread_ = std::thread([this] { loop(); });
}

Writer::~Writer() { stop(); }

void Writer::submit(Item item) {
  {
    std::lock_guard const lock(mutex_);
    if (!stopping_) {
      queue_.push_back(std::move(item));
      wake_.notify_one();
      return;
    }
  }
  item.done(closed());
}

Result<void> Writer::run(Store::Job job) {
  std::promise<Result<void>> promise;
  auto answer = promise.get_future();
  submit({std::move(job), [&promise](Result<void> result) { promise.set_value(std::move(result)); }});
  return answer.get();
}

void Writer::stop() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Writer::loop() {
  auto& clock = system_clock();
  auto next_flush = clock.mono() + kContactsEvery;
  int commits = 0;
  for (;;) {
    std::deque<Item> batch;
    bool stopping = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, next_flush - clock.mono(), [&] { return stopping_ || !queue_.empty(); });
      while (!queue_.empty() && batch.size() < kBatchMax) {
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      stopping = stopping_ && queue_.empty();
    }
    if (!batch.empty()) {
      commit_batch(std::move(batch));
      ++commits;
    }
    if (stopping || clock.mono() >= next_flush) {
      flush_contacts();
      next_flush = clock.mono() + kContactsEvery;
    }
    if (stopping || commits >= kCheckpointEvery) {
      if (auto const done = connection_.checkpoint(); !done) die("checkpoint", done.error());
      commits = 0;
    }
    if (stopping) return;
  }
}

void Writer::commit_batch(std::deque<Item> batch) {
  if (auto const begun = connection_.script("BEGIN IMMEDIATE"); !begun) {
    for (auto& item : batch) item.done(begun.error());
    return;
  }
  std::vector<Outcome> outcomes;
  outcomes.reserve(batch.size());
  for (auto const& item : batch) outcomes.push_back(run_job(connection_, epochs_, item.job));
  if (auto const committed = connection_.script("COMMIT"); !committed) {
    // A full disk is refused before anything is acknowledged; everything else means that the disk's state is unknown.
    if (committed.error().code != "disk_full") die("commit", committed.error());
    if (auto const undone = connection_.script("ROLLBACK"); !undone) log::warn("store.rollback", {{"error", undone.error().detail}});
    for (auto& outcome : outcomes) outcome = {committed.error(), {}};
  }
  for (auto const& outcome : outcomes)
    for (auto const& hook : outcome.hooks) hook();
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i].done(outcomes[i].result);
}

void Writer::flush_contacts() {
  if (contacts_.empty()) return;
  auto const flushed = [&]() -> Result<void> {
    FLEET_CHECK(connection_.script("BEGIN IMMEDIATE"));
    FLEET_CHECK(contacts_.flush(connection_));
    return connection_.script("COMMIT");
  }();
  if (flushed) {
    contacts_.flushed();
    return;
  }
  if (flushed.error().kind == Kind::io) die("contacts", flushed.error());
  log::warn("store.contacts_kept", {{"error", flushed.error().detail}});
  if (auto const undone = connection_.script("ROLLBACK"); !undone) log::warn("store.rollback", {{"error", undone.error().detail}});
}

}  // namespace fleet::store
