#include "server/store/turns.hpp"

#include "server/store/queries.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace fleet::store {
namespace {

constexpr std::int64_t kAtOnce = 500;

std::string encode(std::vector<Change> const& changes) {
  std::string out;
  for (auto const& [what, which] : changes) out += what + ' ' + which + '\n';
  return out;
}

std::vector<Change> decode(std::string_view text) {
  std::vector<Change> out;
  while (!text.empty()) {
    auto const line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    auto const space = std::min(line.find(' '), line.size());
    out.push_back({std::string(line.substr(0, space)), std::string(line.substr(std::min(space + 1, line.size())))});
  }
  return out;
}

struct Told {
  std::int64_t turn;
  std::string node, changes;
};

}  // namespace

void Turns::on_change(Listener listener) {
  std::lock_guard const lock(mutex_);
  listeners_.push_back(std::move(listener));
}

void Turns::on_commit(Writing writing, std::function<void()> committed) {
  std::lock_guard const lock(mutex_);
  writings_.emplace_back(std::move(writing), std::move(committed));
}

void Turns::committed() {
  if (!is_shared()) return;
  heard_ = turn_;
  std::shared_lock const lock(mutex_);
  for (auto const& [writing, done] : writings_) done();
}

void Turns::pass_on(Change const& change, db::Connection* writing) {
  bool const all = change.what == "all";
  if (all || change.what == "policy") epochs_.raise_policy();
  if (all || change.what == "events") epochs_.raise_events();
  if (change.what == "device") {
    std::int64_t n = 0;
    std::from_chars(change.which.data(), change.which.data() + change.which.size(), n);
    epochs_.raise_device(n);
  }
  std::shared_lock const lock(mutex_);
  for (auto const& listener : listeners_) listener(change, writing);
}

Result<bool> Turns::hear(db::Connection& connection, std::int64_t& heard, db::Connection* writing) {
  std::int64_t oldest = 0, newest = 0;
  {
    auto kept = connection.prepare(kToldKept);
    FLEET_CHECK(kept.step());
    oldest = kept.int64(0);
    newest = kept.int64(1);
  }
  if (heard == newest) return false;
  if (heard < 0 || heard + 1 < oldest) {
    heard = newest;
    pass_on({"all", ""}, writing);
    pass_on({"heard", ""}, writing);
    return true;
  }
  bool others = false;
  while (heard < newest) {
    std::vector<Told> page;
    {
      auto rows = connection.prepare(kToldSince);
      rows.bind_all(heard, node_, kAtOnce);
      for (;;) {
        FLEET_TRY(bool const more, rows.step());
        if (!more) break;
        page.push_back({rows.int64(0), rows.text(1), rows.text(2)});
      }
    }
    if (page.empty()) break;
    for (auto const& told : page) {
      heard = told.turn;
      if (told.node == node_) continue;
      others = true;
      for (auto const& change : decode(told.changes)) pass_on(change, writing);
    }
  }
  if (others) pass_on({"heard", ""}, writing);
  return others;
}

Result<void> Turns::begin(db::Connection& connection) {
  if (!is_shared()) return {};
  FLEET_TRY(turn_, connection.prepare(kTakeTurn).returned());
  FLEET_CHECK(hear(connection, heard_, &connection));
  return {};
}

Result<void> Turns::tell(db::Connection& connection, std::vector<Change> changes) {
  if (!is_shared()) return {};
  {
    std::shared_lock const lock(mutex_);
    for (auto const& [writing, done] : writings_) FLEET_CHECK(writing(connection, changes));
  }
  if (changes.empty()) return {};
  std::sort(changes.begin(), changes.end(), [](auto const& a, auto const& b) { return std::pair(a.what, a.which) < std::pair(b.what, b.which); });
  changes.erase(std::unique(changes.begin(), changes.end(), [](auto const& a, auto const& b) { return a.what == b.what && a.which == b.which; }), changes.end());
  FLEET_CHECK(connection.prepare(kTell).bind_all(turn_, node_, encode(changes)).run());
  constexpr std::int64_t kForgetEvery = 1'000;
  return turn_ % kForgetEvery == 0 ? connection.prepare(kForgetTold).bind_all(turn_ - kKept).run() : Result<void>{};
}

Result<bool> Turns::follow(db::Connection& reader, MonoTime now) {
  if (!is_shared()) return false;
  FLEET_TRY(bool const others, hear(reader, followed_, nullptr));
  followed_at_.store(now, std::memory_order_relaxed);
  return others;
}

bool Turns::is_current(MonoTime now) const { return !is_shared() || others() == 0 || now - followed_at_.load(std::memory_order_relaxed) <= kFresh; }

}  // namespace fleet::store
