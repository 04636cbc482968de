#pragma once

#include "server/store/contacts.hpp"
#include "server/store/store.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace fleet::store {

/// The one thread that writes. Takes everything queued, runs each job in a savepoint of one transaction, commits once, then answers.
/// A full disk fails every job of the group; any other failure of a commit ends the process, because after a failed fsync neither SQLite
/// nor the kernel knows what the disk holds.
class Writer {
public:
  struct Item {
    Store::Job job;
    Store::Done done;
  };
  Writer(db::Connection connection, Epochs& epochs, Contacts& contacts);
  ~Writer();
  void submit(Item item);
  /// Submits and waits.
  Result<void> run(Store::Job job);
  /// Finishes what is queued, flushes contacts, checkpoints, ends the thread. Later submissions fail with `unavailable`.
  void stop();

private:
  void loop();
  void commit_batch(std::deque<Item> batch);
  void undo();
  void flush_contacts();
  void checkpoint();

  db::Connection connection_;
  Epochs& epochs_;
  Contacts& contacts_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace fleet::store
