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

namespace {

bool joins(std::vector<Lanes::Item> const& taken, Lanes::Item const& next) {
  bool const alike = next.fold && next.fold == taken.front().fold;
  return alike && std::none_of(taken.begin(), taken.end(), [&](auto const& one) { return one.key == next.key; });
}

}  // namespace

std::vector<Lanes::Item> Lanes::next(Group& group) {
  std::vector<Item> out;
  auto const taken = std::accumulate(group.taken.begin(), group.taken.end(), std::size_t{0});
  if (taken >= Group::kJobsMax) return out;
  auto const most = std::min(kFoldMax, Group::kJobsMax - taken);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    bool const may = group.taken[lane] == 0 || group.age < kLaneRules[lane].until;
    if (!may || queues_[lane].empty()) continue;
    auto& queue = queues_[lane];
    do {
      out.push_back(std::move(queue.front()));
      queue.pop_front();
    } while (out.size() < most && !queue.empty() && joins(out, queue.front()));
    group.taken[lane] += out.size();
    return out;
  }
  return out;
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
