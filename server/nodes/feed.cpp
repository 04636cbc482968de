#include "server/nodes/feed.hpp"

#include "core/base/log.hpp"

#include <utility>

namespace fleet::nodes {
namespace {

constexpr Millis kEvery{100};

}  // namespace

void Feed::start() {
  if (!store_.turns().is_shared() || thread_.joinable()) return;
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void Feed::stop() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Feed::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    look();
    lock.lock();
    wake_.wait_for(lock, kEvery, [this] { return stopping_; });
  }
}

void Feed::look() {
  auto& turns = store_.turns();
  auto const asked = clock_.mono();  // before it is sent: what is heard is at least that new
  auto const heard = turns.follow(store_.reader(), asked);
  bool const behind = !turns.is_current(clock_.mono());
  if (behind && !std::exchange(behind_, true)) {
    log::warn("node.behind", {{"code", heard ? "slow" : heard.error().code}, {"then", "devices are told nothing from memory"}});
    store_.epochs().raise_policy();
  }
  if (!behind && std::exchange(behind_, false)) log::info("node.goes_on");
  // The writer's counters follow in its own turn: it takes one.
  if (!heard || !*heard || turn_asked_.exchange(true)) return;
  store_.write(store::Lane::upkeep, [](store::Tx&) -> Result<void> { return {}; }, [this](Result<void> const&) { turn_asked_ = false; });
}

}  // namespace fleet::nodes
