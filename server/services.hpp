#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"
#include "core/crypto/keys.hpp"
#include "core/crypto/x509.hpp"
#include "core/net/server.hpp"
#include "server/store/store.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace fleet {

namespace delivery {
class Parking;
class Polls;
}  // namespace delivery
namespace rollout {
class Engine;
}
namespace catalog {
class KeyRing;
}
namespace oidc {
class IssuerKeys;
}

/// What the server's parts share, made once in main and passed by reference.
struct Services {
  std::string data_dir;
  Clock& clock;
  Fs& fs;
  Random& random;
  store::Store& store;
  crypto::CertificateAndKey ca;
  std::string server_name;
  std::string devices_url;                     ///< how devices reach this server: `sources` of a poll
  catalog::KeyRing* keys = nullptr;            ///< private keys of both TUF repositories
  rollout::Engine* rollouts = nullptr;         ///< running rollouts, read by every poll
  delivery::Polls* polls = nullptr;            ///< answers polls
  delivery::Parking const* parking = nullptr;  ///< its parked long-polls: how many there are
  oidc::IssuerKeys* issuers = nullptr;         ///< keys of the issuers that bound roles trust
  net::Server* net = nullptr;
  std::atomic<bool> draining{false};
};

}  // namespace fleet
