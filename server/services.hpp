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

namespace fronts {
class Parking;
class Polls;
}  // namespace fronts
namespace rollout {
class Engine;
}
namespace signing {
class KeyRing;
}
namespace oidc {
class IssuerKeys;
}
namespace blobs {
class BlobStore;
class Turns;
}

/// What the server's parts share, made once in main and passed by reference.
struct Services {
  std::string data_dir;
  Clock& clock;
  Fs& fs;
  Random& random;
  store::Store& store;
  crypto::CertificateAndKey ca;     ///< the issuer first, then all others that shall be trusted
  std::int64_t ca_version = 0;      ///< of the announcement of `ca`
  std::string factories_file = {};  ///< which factories' certificates let devices in; empty: none
  std::string server_name;
  std::string devices_url;                     ///< how devices reach this server: `sources` of a poll
  signing::KeyRing* keys = nullptr;            ///< private keys of both TUF repositories
  rollout::Engine* rollouts = nullptr;         ///< running rollouts, read by every poll
  fronts::Polls* polls = nullptr;            ///< answers polls
  fronts::Parking const* parking = nullptr;  ///< its parked long-polls: how many there are
  oidc::IssuerKeys* issuers = nullptr;         ///< keys of the issuers that bound roles trust
  net::Server* net = nullptr;
  blobs::BlobStore* blobs = nullptr;         ///< where the bytes of releases lie
  blobs::Turns* turns = nullptr;             ///< which devices fetch objects now
  Millis certificate_lifetime = std::chrono::hours{24} * 365;  ///< of devices' certificates; they renew at two thirds (docs/protocol.md, renew)
  std::atomic<SysTime> certificate_until{SysTime{}};  ///< of the server's own, as new connections see it; zero: there is none
  std::atomic<bool> draining{false};
};

}  // namespace fleet
