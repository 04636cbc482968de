#include "server/store/threaded_store.hpp"

#include "core/base/log.hpp"
#include "server/store/queries.hpp"

#include <memory>
#include <unordered_map>

namespace fleet::store {

ThreadedStore::ThreadedStore(std::string place, OpenReader open_reader, db::Connection connection, std::string node, Clock& clock)
    : place_(std::move(place)), open_reader_(std::move(open_reader)), turns_(std::move(node), epochs_), writer_(std::move(connection), epochs_, turns_, contacts_, clock) {}

db::Connection& ThreadedStore::reader() {
  // One a thread and store; a thread that ends takes its connections along.
  thread_local std::unordered_map<std::string, std::unique_ptr<db::Connection>> connections;
  auto& mine = connections[place_];
  if (!mine) {
    auto opened = open_reader_();
    if (!opened) log::error("store.reader_failed", {{"error", opened.error().detail}});
    mine = std::make_unique<db::Connection>(std::move(opened).value());
  }
  return *mine;
}

SysTime ThreadedStore::last_contact(std::int64_t device_n) {
  if (auto const fresh = contacts_.find(device_n)) return *fresh;
  auto statement = reader().prepare(kSeenAt);
  statement.bind(1, device_n);
  auto const row = statement.step();
  return row && *row ? from_unix_ms(statement.int64(0)) : SysTime{};
}

}  // namespace fleet::store
