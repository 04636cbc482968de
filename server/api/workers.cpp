#include "server/api/workers.hpp"

#include <algorithm>
#include <utility>

namespace fleet::api {

Workers::Workers(WorkersLimits limits) : limits_(limits) {
  for (std::size_t i = 0; i < limits_.threads; ++i) threads_.emplace_back([this] { run(); });
}

Workers::~Workers() {
  {
    std::lock_guard const lock(mutex_);
    ending_ = true;
    for (auto& [name, party] : parties_) party.waiting.clear();
    waiting_ = 0;
  }
  more_.notify_all();
  for (auto& thread : threads_) thread.join();
}

Workers::Posted Workers::post(std::string_view party, std::function<void()> job) {
  {
    std::lock_guard const lock(mutex_);
    if (waiting_ >= limits_.waiting) return Posted::full;
    auto found = parties_.find(party);
    if (found == parties_.end()) found = parties_.emplace(party, Party{}).first;
    if (found->second.waiting.size() >= limits_.waiting_a_party) return Posted::full_for_party;
    found->second.waiting.push_back(std::move(job));
    ++waiting_;
  }
  more_.notify_one();
  return Posted::taken;
}

std::size_t Workers::waiting() const {
  std::lock_guard const lock(mutex_);
  return waiting_;
}

std::map<std::string, Workers::Party, std::less<>>::iterator Workers::next_party() {
  auto const running_max = std::max<std::size_t>(1, limits_.threads - 1);
  auto at = parties_.upper_bound(last_);
  for (std::size_t i = 0; i < parties_.size(); ++i, ++at) {
    if (at == parties_.end()) at = parties_.begin();
    if (!at->second.waiting.empty() && at->second.running < running_max) return at;
  }
  return parties_.end();
}

void Workers::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    auto party = parties_.end();
    more_.wait(lock, [&] { return ending_ || (party = next_party()) != parties_.end(); });
    if (party == parties_.end()) return;
    last_ = party->first;
    auto job = std::move(party->second.waiting.front());
    party->second.waiting.pop_front();
    ++party->second.running;
    --waiting_;
    lock.unlock();
    std::exchange(job, nullptr)();
    lock.lock();
    --party->second.running;
    if (party->second.running == 0 && party->second.waiting.empty()) parties_.erase(party);
    else more_.notify_one();  // the party may take a thread again
  }
}

}  // namespace fleet::api
