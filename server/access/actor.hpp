#pragma once

#include "server/registry/limits.hpp"

#include <cstdint>
#include <string>

namespace fleet::access {

/// What a caller must be allowed to do. Each role has a row of them (roles.cpp); access never merges upward.
enum class Permission {
  everyone,    ///< no credential: health, metadata, enrolment
  read,        ///< viewer and all other roles
  operate,     ///< operator: devices, rollouts
  publish,     ///< publisher: uploads, releases
  approve,     ///< approver
  administer,  ///< admin: tokens, models, webhooks
  device,      ///< an active device by its certificate (device listener)
};

/// Who asks. On the API listener a token; on the device listener a device.
struct Actor {
  std::string name;  ///< `token:NAME`, `user:NAME`, `oidc:REPOSITORY@ISSUER`, `device:ID`, `system:judge`: one name, one identity, however many tokens
  std::string token_id;
  std::string role;
  registry::Limits limits;  ///< of the token
  std::int64_t device_n = 0;
  std::string device_id;
};

}  // namespace fleet::access
