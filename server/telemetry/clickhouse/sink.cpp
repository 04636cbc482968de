#include "server/telemetry/clickhouse/sink.hpp"

#include "core/base/log.hpp"
#include "server/telemetry/clickhouse/kept.hpp"
#include "server/telemetry/clickhouse/row_binary.hpp"
#include "server/telemetry/clickhouse/schema.hpp"
#include "server/telemetry/clickhouse/statements.hpp"

#include <algorithm>

namespace fleet::clickhouse {
namespace {

constexpr Millis kEvery{2'000};
constexpr Millis kAgainFirst{1'000}, kAgainLast{30'000};
constexpr std::chrono::hours kForgetEvery{24}, kForgetAgain{1};

std::string rows_of(telemetry::Added const& added, std::int64_t flush) {
  std::string out;
  Row row;
  for (auto const& [place, sum] : added.sums) {
    auto const& of = added.series.at(place.first);
    row = {of.metric, of.source.model, of.source.version, of.source.hardware, of.labels};
    row.start_s = static_cast<std::uint32_t>(place.second / 1'000);
    row.flush = static_cast<std::uint64_t>(flush);
    row.samples = static_cast<std::uint64_t>(sum.count);
    row.total = sum.sum;
    row.least = sum.min;
    row.most = sum.max;
    row.buckets = sum.sketch.buckets();
    append(out, row);
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<Sink>> Sink::open(Access access, store::Store& store, Clock& clock, Random& random, std::int64_t waiting_max) {
  FLEET_TRY(auto server, Server::open(access, clock));
  return std::unique_ptr<Sink>(new Sink(std::move(access), std::move(server), store, clock, random, waiting_max));
}

Sink::Sink(Access access, Server server, store::Store& store, Clock& clock, Random& random, std::int64_t waiting_max)
    : access_(std::move(access)), server_(std::move(server)), store_(store), clock_(clock), random_(random), waiting_max_(waiting_max) {}

void Sink::start(std::function<bool()> drains) {
  drains_ = std::move(drains);
  thread_ = std::thread([this] { loop(); });
}

void Sink::stop() {
  {
    std::lock_guard const lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  server_.cancel();
  if (thread_.joinable()) thread_.join();
}

void Sink::loop() {
  auto again = kAgainFirst;
  while (true) {
    auto const done = step();
    {
      std::lock_guard const lock(mutex_);
      if (stopping_) return;
    }
    note(done);
    if (!done) wait(again);
    else if (!*done) wait(kEvery);
    again = done ? kAgainFirst : std::min(again * 2, kAgainLast);
  }
}

void Sink::wait(Millis time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return stopping_; });
}

Result<void> Sink::prepare() {
  auto const now = clock_.mono();
  if (!ready_) FLEET_CHECK(migrate(server_));
  ready_ = true;
  if (now < forget_at_) return {};
  // Who may not drop keeps more than was meant; that holds up nothing.
  auto const forgotten = forget_old(server_, clock_.wall());
  if (!forgotten) log::warn("telemetry.not_forgotten", {{"code", forgotten.error().code}, {"detail", forgotten.error().detail}});
  forget_at_ = now + (forgotten ? Millis{kForgetEvery} : Millis{kForgetAgain});
  return {};
}

Result<bool> Sink::step() {
  FLEET_CHECK(prepare());
  FLEET_TRY(auto const waiting, telemetry::load_waiting(store_.reader()));
  if (waiting.rows == 0 || !drains_()) {
    FLEET_CHECK(server_.ask(kAnything));  // that it is away is known before samples wait
    return false;
  }
  auto const flush = static_cast<std::int64_t>(random_.next() >> 1);
  FLEET_TRY(auto const batch,
            store_.write_value<std::optional<telemetry::Batch>>(store::Lane::upkeep, [&](store::Tx& tx) { return telemetry::begin_batch(tx, flush); }));
  if (!batch) return false;
  FLEET_TRY(bool const sent, send(*batch));
  return !sent || waiting.rows > telemetry::kRowsOfBatch;
}

/// False: other rows came into the batch, and it is to be sent again.
Result<bool> Sink::send(telemetry::Batch const& batch) {
  FLEET_TRY(auto const added, telemetry::add_up(store_.reader(), batch));
  FLEET_CHECK(server_.insert(kInsert, rows_of(added, batch.flush)));
  FLEET_TRY(bool const ended, store_.write_value<bool>(store::Lane::upkeep, [&](store::Tx& tx) { return telemetry::end_batch(tx, batch, added.rows); }));
  std::lock_guard const lock(mutex_);
  if (ended) figures_.rows_sent += static_cast<std::uint64_t>(added.rows);
  return ended;
}

void Sink::note(Result<bool> const& done) {
  std::lock_guard const lock(mutex_);
  if (done) {
    if (!figures_.failing.empty()) log::info("telemetry.caught", {{"sink", "clickhouse"}});
    figures_.failing.clear();
    figures_.last_success = clock_.wall();
    return;
  }
  ready_ = false;  // its tables may have gone
  ++figures_.failures;
  if (figures_.failing.empty()) log::warn("telemetry.behind", {{"code", done.error().code}, {"detail", done.error().detail}});
  figures_.failing = done.error().detail;
}

std::unique_ptr<telemetry::Intervals> Sink::intervals() const { return std::make_unique<Kept>(access_, clock_); }

telemetry::SinkFigures Sink::figures() const {
  std::lock_guard const lock(mutex_);
  return figures_;
}

void Sink::note_held() {
  std::lock_guard const lock(mutex_);
  ++figures_.held;
}

}  // namespace fleet::clickhouse
