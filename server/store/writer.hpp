#pragma once

#include "server/store/contacts.hpp"
#include "server/store/lanes.hpp"
#include "server/store/store.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace fleet::store {

/// The one thread that writes. Takes what its lanes let into a group, runs each job in a savepoint of one transaction, commits once, then answers.
/// A full disk fails every job of the group; any other failure of a commit ends the process, because after a failed fsync neither SQLite
/// nor the kernel knows what the disk holds.
class Writer {
public:
  using Item = Lanes::Item;
  Writer(db::Connection connection, Epochs& epochs, Turns& turns, Contacts& contacts, Clock& clock);
  ~Writer();
  void submit(Lane lane, Item item);
  /// Submits and waits.
  Result<void> run(Lane lane, Job job);
  [[nodiscard]] std::array<Lanes::Figures, kLanes> lanes() const;
  /// Finishes what is queued, flushes contacts, checkpoints, ends the thread. Later submissions fail with `unavailable`.
  void stop();

private:
  struct Written;
  void loop();
  void write_group();
  /// Runs jobs until the lanes say that it is time to commit; what was lost with the whole transaction, if it was.
  std::optional<Error> run_jobs(std::vector<Written>& group);
  [[nodiscard]] std::vector<Item> take(Lanes::Group& group);
  /// Begins a transaction, and hears what other servers wrote; where that fails there is none.
  Result<void> begin();
  void undo();
  void flush_contacts();
  void settle(bool closing);

  db::Connection connection_;
  Epochs& epochs_;
  Turns& turns_;
  Contacts& contacts_;
  Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Lanes lanes_;
  bool stopping_ = false;
  bool contacts_kept_ = false;  ///< they could not be written, and wait
  std::thread thread_;
};

}  // namespace fleet::store
