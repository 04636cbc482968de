#pragma once

#include "server/api/route.hpp"

#include <memory>

namespace fleet::api {

/// What a device's connection remembers. The API makes it when it first identifies the peer; it holds the device as long as the device's
/// epoch stands, and a slot for what delivery remembers of its last decision. Touched on the connection's io thread only.
struct DeviceSession final : net::Attachment {
  std::int64_t device_n = 0;
  std::string device_id;
  std::uint32_t device_epoch = 0;             ///< Epochs::device when the device was last looked up
  SysTime not_after{};                        ///< of the newest certificate the server gave it, whatever the peer's own says
  std::unique_ptr<net::Attachment> decision;  ///< delivery's own; empty until its first poll
};

/// The program's side of one listener: routes, identity, limits, problems. `services` must outlive it.
[[nodiscard]] std::shared_ptr<net::Handler> make_handler(Services& services, Listener listener);

}  // namespace fleet::api
