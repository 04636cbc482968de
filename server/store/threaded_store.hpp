#pragma once

#include "server/store/contacts.hpp"
#include "server/store/store.hpp"
#include "server/store/writer.hpp"

#include <functional>
#include <string>

namespace fleet::store {

/// A store whose writes are a thread's and whose readers are connections, one a thread that reads, whatever the engine.
class ThreadedStore final : public Store {
public:
  using OpenReader = std::function<Result<db::Connection>()>;

  /// @param place  of the database: a path or a URL
  /// @param connection  the writer's own, on the newest schema
  /// @param node  as Store::open has it
  ThreadedStore(std::string place, OpenReader open_reader, db::Connection connection, std::string node, Clock& clock);
  ~ThreadedStore() override { writer_.stop(); }

  db::Connection& reader() override;
  void write(Lane lane, Job job, Done done) override { writer_.submit(lane, {std::move(job), std::move(done)}); }
  void fold(Lane lane, std::shared_ptr<Fold> fold, std::int64_t key, Job job, Done done) override {
    writer_.submit(lane, {std::move(job), std::move(done), std::move(fold), key});
  }
  Result<void> write_wait(Lane lane, Job job) override { return writer_.run(lane, std::move(job)); }
  [[nodiscard]] std::array<Lanes::Figures, kLanes> lanes() const override { return writer_.lanes(); }
  Epochs& epochs() override { return epochs_; }
  Turns& turns() override { return turns_; }
  void note_contact(std::int64_t device_n, Contact const& contact) override { contacts_.note(device_n, contact); }
  SysTime last_contact(std::int64_t device_n) override;
  void close() override { writer_.stop(); }

private:
  std::string place_;
  OpenReader open_reader_;
  Epochs epochs_;
  Turns turns_;
  Contacts contacts_;
  Writer writer_;
};

}  // namespace fleet::store
