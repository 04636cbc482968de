#pragma once

#include "agent/store/layout.hpp"
#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"
#include "core/wire/device.hpp"

#include <string>
#include <vector>

namespace fleet::agent {

struct EnrollOptions {
  std::vector<std::string> servers;
  std::string ca_file, token_file, tuf_root_file, id, hardware;
  wire::Labels reported;
};

/// Makes a key, asks for a certificate, keeps what the device trusts from now on. May be repeated: the same key is used again.
/// @returns the state the server gave: active or pending
/// @errors conflict (code `enrolled`), unauthenticated, unavailable, signature
Result<std::string> enroll(Fs& fs, Clock& clock, Random& random, Layout const& layout, EnrollOptions const& options);

}  // namespace fleet::agent
