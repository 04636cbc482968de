#pragma once

#include "server/store/store.hpp"

#include <string>
#include <vector>

/// What happened, in order: rows that people and webhooks follow.
namespace fleet::events {

struct Event {
  std::int64_t id = 0;
  SysTime time{};
  std::string type, subject, actor;
  std::string data;  ///< JSON, or empty
};
/// Events after `after`, at most `limit`.
[[nodiscard]] Result<std::vector<Event>> list_events(db::Connection& reader, std::int64_t after, int limit);
/// 0: there was none yet.
[[nodiscard]] Result<std::int64_t> last_event(db::Connection& reader);

}  // namespace fleet::events
