#pragma once

#include "core/base/time.hpp"
#include "server/store/store.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace fleet::nodes {

/// Hears ten times a second what other nodes wrote, so that parked polls and caches follow. Where it is heard no more, devices are told nothing from memory
/// (store::Turns::is_current), and those that are parked ask anew, which fails, so that they go to another node.
class Feed {
public:
  Feed(store::Store& store, Clock& clock) : store_(store), clock_(clock) {}
  ~Feed() { stop(); }
  void start();
  void stop();

private:
  void run();
  void look();

  store::Store& store_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool behind_ = false;
  std::atomic<bool> turn_asked_{false};
  std::thread thread_;
};

}  // namespace fleet::nodes
