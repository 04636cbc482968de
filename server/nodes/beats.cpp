#include "server/nodes/beats.hpp"

#include "core/base/log.hpp"

#include <algorithm>
#include <utility>

namespace fleet::nodes {
namespace {

constexpr Millis kEvery{1'000};

}  // namespace

Beats::Beats(store::Store& store, store::Lease& lease, rollout::ServiceClock& service, Clock& clock, Node self)
    : store_(store), lease_(lease), service_(service), clock_(clock), self_(std::move(self)) {}

Result<void> Beats::begin() { return store_.turns().is_shared() ? beat() : Result<void>{}; }

void Beats::start() {
  if (!store_.turns().is_shared() || thread_.joinable()) return;
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void Beats::stop() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  lease_.give_back();
}

std::vector<Beats::Seen> Beats::nodes() const {
  std::lock_guard const lock(mutex_);
  return nodes_;
}

bool Beats::lives(std::string_view id) const {
  std::lock_guard const lock(mutex_);
  return std::any_of(nodes_.begin(), nodes_.end(), [&](Seen const& one) { return one.node.id == id && one.lives; });
}

void Beats::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    auto const beaten = beat();
    auto const code = beaten ? std::string() : beaten.error().code;
    if (code != failing_) {  // told once, however long it lasts
      if (beaten) log::info("node.beats_again");
      else log::error("node.no_beat", {{"code", code}, {"detail", beaten.error().detail}, {"hint", beaten.error().hint}});
      failing_ = code;
    }
    lock.lock();
    wake_.wait_for(lock, kEvery, [this] { return stopping_; });
  }
}

Result<void> Beats::beat() {
  FLEET_TRY(auto const lease, lease_.beat(service_.now()));
  if (lease.is_new) service_.take_over(lease.service);
  else if (!lease.is_held) service_.follow(lease.service);
  auto const kept = service_.kept();
  self_.promised = kept.promised;
  self_.came = kept.came;
  self_.seen_at = clock_.wall();
  FLEET_CHECK(store_.write_wait(store::Lane::verbs, [&](store::Tx& tx) { return note_beat(tx, self_); }));
  return look_at_others(lease.holder);
}

Result<void> Beats::look_at_others(std::string const& holder) {
  FLEET_TRY(auto const rows, list_nodes(store_.reader()));
  auto const now = clock_.mono();
  std::vector<Seen> seen;
  rollout::ServiceClock::Kept beside;
  int others = 0;
  for (auto const& node : rows) {
    auto& [beat, at] = heard_[node.id];
    if (beat != node.beat) at = now;
    beat = node.beat;
    bool const self = node.id == self_.id;
    // One that this process never heard before is taken for alive as long as patience lasts.
    bool const lives = self || (node.beat > 0 && now - at < store::Lease::kPatience);
    seen.push_back({node, lives, node.id == holder});
    if (self || !lives) continue;
    ++others;
    beside.promised += node.promised;
    beside.came += node.came;
  }
  service_.set_beside(beside);
  store_.turns().set_others(others);
  std::lock_guard const lock(mutex_);
  nodes_ = std::move(seen);
  return {};
}

}  // namespace fleet::nodes
