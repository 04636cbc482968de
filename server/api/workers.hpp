#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace fleet::api {

struct WorkersLimits {
  std::size_t threads = 2;
  std::size_t waiting = 64;          ///< jobs that wait, of all parties
  std::size_t waiting_a_party = 16;  ///< of one
};

/// A few threads for requests that block or scan, and bounded queues before them: what does not fit is refused, not hoarded. Parties (a token, a device)
/// take turns, and none of them holds every thread.
class Workers {
public:
  enum class Posted { taken, full, full_for_party };

  explicit Workers(WorkersLimits limits);
  /// Finishes the jobs under way and drops those that wait.
  ~Workers();
  Workers(Workers const&) = delete;

  /// The job must not throw. Any thread.
  [[nodiscard]] Posted post(std::string_view party, std::function<void()> job);
  [[nodiscard]] std::size_t waiting() const;

private:
  struct Party {
    std::deque<std::function<void()>> waiting;
    std::size_t running = 0;
  };
  void run();
  /// The party whose turn it is; nothing while each that waits holds as many threads as it may.
  std::map<std::string, Party, std::less<>>::iterator next_party();

  WorkersLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable more_;
  std::map<std::string, Party, std::less<>> parties_;
  std::string last_;  ///< whose turn was last: the next one after it, in the order of their names, is on
  std::size_t waiting_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fleet::api
