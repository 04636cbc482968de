#pragma once

#include "core/net/server.hpp"
#include "core/wire/device.hpp"
#include "server/delivery/device_record.hpp"

#include <memory>
#include <optional>
#include <string>

namespace fleet::fronts {

/// What a connection remembers of its device: the record as last read and the decision it led to, good while both epochs and the time stand.
/// Touched on the connection's io thread only; a poll under way keeps it alive.
struct Memory {
  delivery::DeviceRecord record;
  bool decided = false;
  std::uint64_t policy_epoch = 0;
  std::uint32_t device_epoch = 0;
  SysTime valid_until{};  ///< zero: no window or back-off ends it
};

/// One poll from its arrival to its answer.
struct Poll {
  std::int64_t device_n = 0;
  std::string nonce;
  std::int64_t sequence = 0;              ///< the highest the device has
  bool waits = false;                     ///< the device asked for a long poll
  MonoTime until{};                       ///< latest answer
  std::optional<wire::PollRequest> told;  ///< until it is recorded
  std::shared_ptr<Memory> memory;
  std::string request_id;
  net::Responder answer;
};

}  // namespace fleet::fronts
