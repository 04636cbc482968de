#pragma once

#include "core/base/time.hpp"
#include "server/store/db/db.hpp"
#include "server/store/epochs.hpp"
#include "server/store/lanes.hpp"
#include "server/store/turns.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace fleet::store {

/// An open write transaction as jobs see it: each job runs in a savepoint of a shared group commit.
class Tx : public db::Transaction {
public:
  using db::Transaction::Transaction;
  virtual ~Tx() = default;
  /// Runs on the writer thread after the commit that holds this job; never when the job fails or rolls back.
  virtual void after_commit(std::function<void()> hook) = 0;
  /// Every device must decide anew: rollouts and releases changed. Raised after the commit.
  virtual void raise_policy_epoch() = 0;
  /// This device must decide anew. Raised after the commit; the column `devices.epoch` is the caller's.
  virtual void raise_device_epoch(std::int64_t device_n) = 0;
  /// Who listens to events has some to read. Raised after the commit.
  virtual void raise_event_epoch() = 0;
  /// What else other servers on this database remember, and should not any more (turns.hpp). They hear of it after the commit.
  /// @param what  a word. @param which  without line breaks
  virtual void tell_others(std::string what, std::string which) = 0;
};

/// A device was heard.
struct Contact {
  SysTime at{};
  int poll_every_s = 0;
  int report_every_s = 0;
  Millis service{0};  ///< by the time of service
};

/// The database: a read-only connection a thread, and one connection, on a thread of its own, that does all writes and checkpoints
/// and commits in groups.
class Store {
public:
  using Job = store::Job;
  using Done = store::Done;

  /// Opens the database, brings it to the newest schema, starts the writer.
  ///
  /// While a PostgreSQL is away every write fails (`database_gone`), and is made again by whoever asked; nothing that was acknowledged is lost. A group whose commit
  /// nobody vouches for fails with `commit_unknown`, and every decision is made anew.
  /// @param place  a data folder, whose fleet.db is made where there is none, or a PostgreSQL's URL, on whose database this is alone (server/store/place.hpp)
  /// @param clock  its monotonic time tells when contacts are flushed and a group is old: a real one, for the writer waits for it
  /// @param node  one of several servers that may be on a PostgreSQL at the same time, each by a name of its own; empty: it is alone, or nothing is opened
  /// @errors conflict (`database_in_use`: another is alone on it, or this node runs already)
  static Result<std::unique_ptr<Store>> open(std::string const& place, Clock& clock, std::string const& node = {});
  virtual ~Store() = default;

  /// The calling thread's own read-only connection; sees everything committed before the call.
  virtual db::Connection& reader() = 0;
  /// Queues `job` in its lane; `done` is called on the writer thread after the commit, or with the job's error after its savepoint rolled back.
  /// A lane that is full refuses at once, on the calling thread: `unavailable`, code `busy`. A job is short: long work comes in pieces.
  /// A full disk fails every job of the group (`disk_full`). Any other commit that fails ends the process: after a failed fsync nothing
  /// may be acknowledged.
  virtual void write(Lane lane, Job job, Done done) = 0;
  /// The same of one of many jobs that are alike. Those that stand together in a lane are run together, after one reading for all of them, in their order;
  /// where one fails, each runs once more by itself. So it may run twice, and acts outside by `after_commit` alone.
  /// @param key  whose rows it reads and writes: of two with the same, one sees what the other wrote
  virtual void fold(Lane lane, std::shared_ptr<Fold> fold, std::int64_t key, Job job, Done done) = 0;
  /// As `write`, blocking. Never on an io thread or the writer.
  virtual Result<void> write_wait(Lane lane, Job job) = 0;
  /// Typed form: `store.write_value<Row>(Lane::verbs, [&](Tx& tx) -> Result<Row> {...})`.
  template <class T, class F>
  Result<T> write_value(Lane lane, F&& job);
  /// How full the lanes are, in their order.
  [[nodiscard]] virtual std::array<Lanes::Figures, kLanes> lanes() const = 0;
  virtual Epochs& epochs() = 0;
  virtual Turns& turns() = 0;
  /// Notes that a device was heard; flushed every few seconds in one batch into `contacts`.
  virtual void note_contact(std::int64_t device_n, Contact const& contact) = 0;
  /// Latest contact, also when not flushed yet; zero time when never.
  virtual SysTime last_contact(std::int64_t device_n) = 0;
  /// Waits for queued writes, flushes contacts, checkpoints, closes.
  virtual void close() = 0;
};

template <class T, class F>
Result<T> Store::write_value(Lane lane, F&& job) {
  std::optional<T> value;
  auto const written = write_wait(lane, [&](Tx& tx) -> Result<void> {
    FLEET_TRY(value, job(tx));
    return {};
  });
  if (!written) return written.error();
  return std::move(*value);
}

/// The database answers. @errors io
[[nodiscard]] Result<void> ping(db::Connection& reader);

}  // namespace fleet::store
