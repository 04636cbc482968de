#include "server/blobs/store/lines.hpp"

#include <algorithm>
#include <atomic>
#include <optional>

namespace fleet::blobs {

bool Lines::post(std::string key, std::function<void()> job) {
  std::lock_guard const lock(mutex_);
  if (!key.empty() && keys_.contains(key)) return true;
  if (ending_ || jobs_.size() >= waiting_max_) return false;
  if (!key.empty()) keys_.insert(key);
  jobs_.push_back({std::move(key), std::move(job)});
  if (idle_ < jobs_.size() && threads_.size() < threads_max_) threads_.emplace_back([this] { work(); });
  more_.notify_one();
  return true;
}

bool Lines::rest(Millis wait) {
  std::unique_lock lock(mutex_);
  auto const ending = [this] { return ending_; };
  return !end_.wait_for(lock, wait, ending);
}

void Lines::stop() {
  std::vector<std::thread> ended;
  {
    std::lock_guard const lock(mutex_);
    ending_ = true;
    ended.swap(threads_);
  }
  more_.notify_all();
  end_.notify_all();
  for (auto& thread : ended) thread.join();
}

void Lines::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    more_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    --idle_;
    if (jobs_.empty()) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.run();
    job.run = nullptr;
    lock.lock();
    if (!job.key.empty()) keys_.erase(job.key);
  }
}

Result<void> in_parallel(std::size_t threads, std::size_t count, std::function<Result<void>(std::size_t)> const& job) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::optional<Error> first;
  auto const work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      auto const done = job(i);
      if (done) continue;
      std::lock_guard const lock(mutex);
      if (!first) first = done.error();
      next = count;
    }
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < std::min(threads, count); ++i) others.emplace_back(work);
  work();
  for (auto& one : others) one.join();
  return first ? Result<void>(*first) : Result<void>();
}

}  // namespace fleet::blobs
