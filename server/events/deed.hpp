#pragma once

#include "core/base/time.hpp"

#include <string>

namespace fleet::events {

/// Who changes something, when and why: what every change by a person, a device or the server itself is called with, for the log.
struct Deed {
  SysTime at{};
  std::string actor;            ///< token:NAME, device:ID, system:judge
  std::string reason = {};      ///< as who did it says; may be empty
  std::string request_id = {};  ///< of the request that asked for it; empty: none did
  std::string model = {};       ///< that the token is limited to: a refusal names nothing of others; empty: it is not
};

}  // namespace fleet::events
