#pragma once

#include "core/crypto/openssl.hpp"

#include <memory>
#include <string>

/// Keys that stay in a device. One of two is built: `key_device_openssl.cpp`, or `key_device_none.cpp` for small boards and static programs.
namespace fleet::crypto {

struct DeviceKey {
  std::shared_ptr<EVP_PKEY> key;
  char const* properties;  ///< see PrivateKey
};

/// @param uri  as is_key_uri knows it; whoever calls has the turn (KeyDeviceTurn)
/// @errors bad_input, unavailable (`key_device`, `no_key_devices`)
[[nodiscard]] Result<DeviceKey> open_device_key(std::string const& uri);

}  // namespace fleet::crypto
