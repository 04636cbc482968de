#pragma once

#include "server/registry/devices.hpp"

namespace fleet::registry {

/// A device off a row of one of the queries that select it. @errors corrupt
[[nodiscard]] Result<Device> read_device(db::Statement& row);

/// `{"models":[...]}` of a cache, or null. @param models  as a column has them
[[nodiscard]] std::string cache_json(std::optional<std::string> const& models);

/// A pending enrolment: a device that is known by another key asks to be let in.
struct Pending {
  std::string device_id;
  Digest key;
  std::string hardware;
  wire::Labels labels, reported;
  std::string token_id;
  SysTime created_at{};
};
[[nodiscard]] Result<Pending> read_pending(db::Statement& row);

}  // namespace fleet::registry
