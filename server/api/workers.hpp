#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace fleet::api {

/// A few threads for requests that block or scan, and a bounded queue before them: what does not fit is refused, not hoarded.
class Workers {
public:
  Workers(std::size_t threads, std::size_t queue_max);
  /// Finishes the jobs under way and drops those that wait.
  ~Workers();
  Workers(Workers const&) = delete;

  /// False when the queue is full. The job must not throw. Any thread.
  [[nodiscard]] bool post(std::function<void()> job);

private:
  void run();

  std::size_t queue_max_;
  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> jobs_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fleet::api
