#include "server/store/lanes.hpp"

#include <algorithm>
#include <numeric>

namespace fleet::store {

bool Lanes::put(Lane lane, Item& item) {
  auto const index = static_cast<std::size_t>(lane);
  if (queues_[index].size() >= kLaneRules[index].waiting_max) {
    ++refused_[index];
    return false;
  }
  queues_[index].push_back(std::move(item));
  return true;
}

std::optional<Lanes::Item> Lanes::next(Group& group) {
  if (std::accumulate(group.taken.begin(), group.taken.end(), std::size_t{0}) >= Group::kJobsMax) return std::nullopt;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    bool const may = group.taken[lane] == 0 || group.age < kLaneRules[lane].until;
    if (!may || queues_[lane].empty()) continue;
    ++group.taken[lane];
    auto item = std::move(queues_[lane].front());
    queues_[lane].pop_front();
    return item;
  }
  return std::nullopt;
}

bool Lanes::empty() const {
  return std::all_of(queues_.begin(), queues_.end(), [](auto const& queue) { return queue.empty(); });
}

std::array<Lanes::Figures, kLanes> Lanes::figures() const {
  std::array<Figures, kLanes> out;
  for (std::size_t lane = 0; lane < kLanes; ++lane) out[lane] = {queues_[lane].size(), refused_[lane]};
  return out;
}

}  // namespace fleet::store
