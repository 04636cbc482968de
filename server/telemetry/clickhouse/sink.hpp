#pragma once

#include "core/base/random.hpp"
#include "server/store/store.hpp"
#include "server/telemetry/clickhouse/server.hpp"
#include "server/telemetry/sink.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace fleet::clickhouse {

/// A ClickHouse that the outbox is drained into, by a thread of its own: a batch is written down, sent, and gone from the outbox once ClickHouse said 200. A
/// batch that is sent again, because nobody knows whether it arrived, bears the same number, and counts once.
class Sink final : public telemetry::Sink {
public:
  static constexpr std::int64_t kWaitingMax = 500'000;  ///< rows of the outbox: 50 to 700 MB
  /// @param clock  a real one: the thread waits by it
  /// @errors bad_input (certificates)
  static Result<std::unique_ptr<Sink>> open(Access access, store::Store& store, Clock& clock, Random& random, std::int64_t waiting_max = kWaitingMax);
  ~Sink() override { stop(); }

  /// @param drains  asked before each batch: of several servers one sends
  void start(std::function<bool()> drains = [] { return true; });
  /// Ends what is under way; what waits in the outbox is sent after the next start.
  void stop();
  /// One batch, or the tables where it is the first: what the thread does over and over. @returns true when more waits already
  Result<bool> step();

  [[nodiscard]] std::string_view name() const override { return "clickhouse"; }
  [[nodiscard]] std::int64_t waiting_max() const override { return waiting_max_; }
  [[nodiscard]] std::unique_ptr<telemetry::Intervals> intervals() const override;
  [[nodiscard]] telemetry::SinkFigures figures() const override;
  void note_held() override;

private:
  Sink(Access access, Server server, store::Store& store, Clock& clock, Random& random, std::int64_t waiting_max);
  void loop();
  Result<bool> send(telemetry::Batch const& batch);
  Result<void> prepare();
  void note(Result<bool> const& done);
  void wait(Millis time);

  Access access_;
  Server server_;
  store::Store& store_;
  Clock& clock_;
  Random& random_;
  std::int64_t waiting_max_;
  std::function<bool()> drains_ = [] { return true; };
  bool ready_ = false;
  MonoTime forget_at_{};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  telemetry::SinkFigures figures_;
  std::thread thread_;
};

}  // namespace fleet::clickhouse
