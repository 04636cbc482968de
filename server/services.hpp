#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"
#include "core/crypto/keys.hpp"
#include "core/crypto/x509.hpp"
#include "core/net/server.hpp"
#include "server/store/lease.hpp"
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
class Reporters;
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
namespace nodes {
class Beats;
}
namespace blobs {
class BlobStore;
class Turns;
}
namespace telemetry {
class Sink;
}

/// What the server's parts share, made once in main and passed by reference.
struct Services {
  /// What one server does for all: verdicts, upkeep.
  [[nodiscard]] bool leads() const { return lease == nullptr || lease->is_held(); }
  /// A job of what only the leader does (store/lease.hpp).
  [[nodiscard]] store::Job as_leader(store::Job job) const { return lease == nullptr ? std::move(job) : lease->fenced(std::move(job)); }

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
  store::Lease const* lease = nullptr;         ///< whether this server leads the fleet's others; null: it is alone
  nodes::Beats const* nodes = nullptr;         ///< the fleet's servers; null: this is the only one
  signing::KeyRing* keys = nullptr;            ///< private keys of both TUF repositories
  rollout::Engine* rollouts = nullptr;         ///< running rollouts, read by every poll
  fronts::Polls* polls = nullptr;            ///< answers polls
  fronts::Parking const* parking = nullptr;  ///< its parked long-polls: how many there are
  std::shared_ptr<fronts::Reporters> reporters = {};  ///< what reports read of their devices, many at once
  oidc::IssuerKeys* issuers = nullptr;         ///< keys of the issuers that bound roles trust
  telemetry::Sink* telemetry = nullptr;        ///< keeps samples in place of the database's own tables; nothing: those do
  net::Server* net = nullptr;
  blobs::BlobStore* blobs = nullptr;         ///< where the bytes of releases lie
  blobs::Turns* turns = nullptr;             ///< which devices fetch objects now
  Millis certificate_lifetime = std::chrono::hours{24} * 365;  ///< of devices' certificates; they renew at two thirds (docs/protocol.md, renew)
  std::atomic<SysTime> certificate_until{SysTime{}};  ///< of the server's own, as new connections see it; zero: there is none
  std::atomic<bool> draining{false};
};

}  // namespace fleet
