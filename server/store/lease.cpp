#include "server/store/lease.hpp"

#include "core/base/log.hpp"
#include "server/store/queries.hpp"

#include <utility>

namespace fleet::store {
namespace {

struct Row {
  std::int64_t fence, beat;
  std::string holder;
  Millis service;
};

Result<Row> read(db::Connection& connection, std::string const& name) {
  auto row = connection.prepare(kLease);
  row.bind(1, name);
  FLEET_TRY(bool const found, row.step());
  if (!found) return Error{Kind::corrupt, "bad_row", "there is no lease " + name};
  return Row{row.int64(0), row.int64(2), row.text(1), Millis(row.int64(3))};
}

}  // namespace

Lease::Lease(Store& store, Clock& clock, std::string name) : store_(store), clock_(clock), name_(std::move(name)), held_(!store.turns().is_shared()) {}

Result<Lease::Beat> Lease::beat(Millis service) {
  auto const& node = store_.turns().node();
  if (!store_.turns().is_shared()) return Beat{true, false, node, service};
  bool const held = is_held();
  auto const now = clock_.mono();
  bool takes = false;
  Row row{};
  auto const job = [&](Tx& tx) -> Result<void> {
    FLEET_TRY(row, read(tx.connection(), name_));
    takes = false;
    if (held && row.fence == fence_.load(std::memory_order_relaxed)) return tx.prepare(kKeepLease).bind_all(name_, row.fence, service.count()).run();
    if (held) return {};
    bool const same = row.fence == seen_fence_ && row.beat == seen_beat_;
    // What this node held when it ended is its own: no other process is this node (server/store/postgres).
    takes = row.holder.empty() || row.holder == node || (same && now - seen_at_ >= kPatience);
    return takes ? tx.prepare(kTakeLease).bind_all(name_, row.fence, node).run() : Result<void>{};
  };
  FLEET_CHECK(store_.write_wait(Lane::verbs, job));
  if (takes) {
    fence_.store(row.fence + 1, std::memory_order_relaxed);
    held_.store(true, std::memory_order_release);
    log::info("node.leads", {{"fence", row.fence + 1}, {"before", row.holder}});
    return Beat{true, true, node, row.service};
  }
  if (held && row.fence != fence_.load(std::memory_order_relaxed)) {
    held_.store(false, std::memory_order_release);
    log::warn("node.leads_no_more", {{"holder", row.holder}, {"fence", row.fence}});
  }
  if (row.fence != seen_fence_ || row.beat != seen_beat_) {
    seen_fence_ = row.fence;
    seen_beat_ = row.beat;
    seen_at_ = now;
  }
  return Beat{is_held(), false, row.holder, row.service};
}

void Lease::give_back() {
  if (!store_.turns().is_shared() || !is_held()) return;
  auto const job = [&](Tx& tx) { return tx.prepare(kGiveLease).bind_all(name_, fence_.load(std::memory_order_relaxed)).run(); };
  if (auto const given = store_.write_wait(Lane::verbs, job); !given) log::warn("node.lease_kept", {{"detail", given.error().detail}});
  held_.store(false, std::memory_order_release);
}

Result<void> Lease::check(Tx& tx) const {
  if (!store_.turns().is_shared()) return {};
  FLEET_TRY(auto const row, read(tx.connection(), name_));
  if (is_held() && row.fence == fence_.load(std::memory_order_relaxed)) return {};
  return Error{Kind::conflict, std::string(kLost), "another server leads by now: " + row.holder};
}

Job Lease::fenced(Job job) const {
  return [this, job = std::move(job)](Tx& tx) -> Result<void> {
    FLEET_CHECK(check(tx));
    return job(tx);
  };
}

}  // namespace fleet::store
