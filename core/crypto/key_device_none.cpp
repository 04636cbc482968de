#include "core/crypto/key_device.hpp"

#include "core/crypto/private_key.hpp"

#include <fmt/format.h>

namespace fleet::crypto {

Result<DeviceKey> open_device_key(std::string const& uri) {
  return Error{Kind::unavailable, "no_key_devices", fmt::format("key {}: this program was built without keys in devices", uri),
               "take the build that has them (make agent), or a key in a file"};
}

bool key_device_answers() { return true; }

}  // namespace fleet::crypto
