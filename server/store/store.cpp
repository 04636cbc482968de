#include "server/store/store.hpp"

#include "core/base/log.hpp"
#include "server/store/contacts.hpp"
#include "server/store/queries.hpp"
#include "server/store/sqlite/sqlite.hpp"
#include "server/store/writer.hpp"

#include <thread>
#include <unordered_map>

namespace fleet::store {
namespace {

constexpr db::Migration kMigrations[] = {
#include "server/store/migrations.inc"
};

class SqliteStore final : public Store {
public:
  SqliteStore(std::string path, db::Connection connection, Clock& clock)
      : path_(std::move(path)), writer_(std::move(connection), epochs_, contacts_, clock) {}
  ~SqliteStore() override { writer_.stop(); }

  db::Connection& reader() override {
    // One a thread and store; a thread that ends takes its connections along.
    thread_local std::unordered_map<std::string, std::unique_ptr<db::Connection>> connections;
    auto& mine = connections[path_];
    if (!mine) {
      auto opened = sqlite::open(path_, sqlite::Mode::read_only);
      if (!opened) log::error("store.reader_failed", {{"error", opened.error().detail}});
      mine = std::make_unique<db::Connection>(std::move(opened).value());
    }
    return *mine;
  }
  void write(Lane lane, Job job, Done done) override { writer_.submit(lane, {std::move(job), std::move(done)}); }
  Result<void> write_wait(Lane lane, Job job) override { return writer_.run(lane, std::move(job)); }
  [[nodiscard]] std::array<Lanes::Figures, kLanes> lanes() const override { return writer_.lanes(); }
  Epochs& epochs() override { return epochs_; }

  void note_contact(std::int64_t device_n, SysTime at, int poll_every_s, int report_every_s) override {
    contacts_.note(device_n, {at, poll_every_s, report_every_s});
  }
  SysTime last_contact(std::int64_t device_n) override {
    if (auto const fresh = contacts_.find(device_n)) return *fresh;
    auto statement = reader().prepare(kSeenAt);
    statement.bind(1, device_n);
    auto const row = statement.step();
    return row && *row ? from_unix_ms(statement.int64(0)) : SysTime{};
  }
  void close() override { writer_.stop(); }

private:
  std::string path_;
  Epochs epochs_;
  Contacts contacts_;
  Writer writer_;
};

}  // namespace

Result<std::unique_ptr<Store>> Store::open(std::string const& data_dir, Clock& clock) {
  auto path = data_dir + "/fleet.db";
  FLEET_TRY(auto connection, sqlite::open(path, sqlite::Mode::read_write));
  FLEET_CHECK(sqlite::migrate(connection, kMigrations));
  return std::unique_ptr<Store>(std::make_unique<SqliteStore>(std::move(path), std::move(connection), clock));
}

Result<void> ping(db::Connection& reader) {
  auto row = reader.prepare(kPing);
  row.bind(1, "ready");
  FLEET_CHECK(row.step());
  return {};
}

}  // namespace fleet::store
