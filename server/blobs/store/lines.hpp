#pragma once

#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace fleet::blobs {

/// Threads that wait for a store, in the place of those that must not. They start with the first job.
class Lines {
public:
  Lines(std::size_t threads, std::size_t waiting_max) : threads_max_(threads), waiting_max_(waiting_max) {}
  ~Lines() { stop(); }
  Lines(Lines const&) = delete;
  Lines& operator=(Lines const&) = delete;

  /// False: too many wait, or it ends. @param key  a job of the same one that waits or runs is enough; empty: each counts
  bool post(std::string key, std::function<void()> job);
  /// A pause that ends when the lines do; false then.
  bool rest(Millis wait);
  /// Jobs under way are waited for; those that wait run, too, each of them fails by itself.
  void stop();

private:
  struct Job {
    std::string key;
    std::function<void()> run;
  };
  void work();

  std::size_t const threads_max_, waiting_max_;
  std::mutex mutex_;
  std::condition_variable more_, end_;
  std::deque<Job> jobs_;
  std::set<std::string> keys_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool ending_ = false;
};

/// `job(0)` to `job(count - 1)` on so many threads; the first error, after all that began have ended.
Result<void> in_parallel(std::size_t threads, std::size_t count, std::function<Result<void>(std::size_t)> const& job);

}  // namespace fleet::blobs
