#include "agent/commands/enroll.hpp"

#include "agent/store/identity.hpp"
#include "agent/store/trusted_clock.hpp"
#include "agent/trust/folder_store.hpp"
#include "agent/trust/remote.hpp"
#include "core/base/dir_lock.hpp"
#include "core/crypto/certificates.hpp"
#include "core/crypto/private_key.hpp"
#include "core/crypto/x509.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <utility>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kFileMax = 1024 * 1024;
constexpr Millis kAskAgain{1'000}, kAskAgainMax{30'000};

std::string machine_architecture() {
  utsname name{};
  return ::uname(&name) == 0 ? name.machine : "unknown";
}

/// The identity so far: an enrolment that waits or was cut goes on with its key.
Result<Identity> begin(Fs& fs, Random& random, Layout const& layout, EnrollOptions const& options) {
  auto known = load_identity(fs, layout);
  if (known && !known->certificate.empty())
    return Error{Kind::conflict, "enrolled", fmt::format("{} is enrolled already as {}", layout.root, known->id),
                 "take another --root, or remove this one to enrol anew"};
  if (!known && known.error().kind != Kind::not_found) return known.error();
  Identity identity;
  if (known) identity = std::move(*known);
  else {
    if (options.key.empty()) {
      FLEET_TRY(identity.private_key, crypto::make_private_key());
    }
    Bytes raw(8);
    random.fill(raw);
    identity.id = "dev-" + to_hex(raw);
  }
  if (!options.key.empty()) {
    FLEET_CHECK(crypto::PrivateKey::load(options.key));  // now, rather than at every start
    identity.private_key = options.key;
  }
  if (!options.wrap_key.empty()) {
    FLEET_CHECK(crypto::PrivateKey::load(options.wrap_key));
    identity.wrap_key = options.wrap_key;
  }
  // Whose key lies in a TPM wants none on the disk: without one that may decrypt the device takes no protected models.
  if (identity.wrap_key.empty() && !crypto::is_key_uri(identity.private_key)) {
    FLEET_TRY(identity.wrap_key, crypto::make_private_key());
  }
  if (!options.id.empty()) identity.id = options.id;
  identity.hardware = options.hardware.empty() ? machine_architecture() : options.hardware;
  identity.servers = options.servers;
  identity.reported = options.reported;
  FLEET_TRY(identity.ca, fs.read(options.ca_file, kFileMax));
  return identity;
}

Result<std::string> read_token(Fs& fs, EnrollOptions const& options) {
  if (options.token_file.empty()) return std::string();
  FLEET_TRY(auto token, fs.read(options.token_file, 4096));
  while (!token.empty() && (token.back() == '\n' || token.back() == ' ')) token.pop_back();
  return token;
}

/// The server as it is reached before there is a certificate of its own: with that of the factory, or with none.
Result<std::unique_ptr<Remote>> reach(Fs& fs, Identity identity, EnrollOptions const& options, TrustedClock const& trusted, Clock& waits,
                                      net::Connect const& connect) {
  identity.certificate.clear();
  if (!options.factory_certificate_file.empty()) {
    FLEET_TRY(identity.certificate, fs.read(options.factory_certificate_file, kFileMax));
    identity.private_key = options.factory_key;
    if (!crypto::is_key_uri(options.factory_key)) {
      FLEET_TRY(identity.private_key, fs.read(options.factory_key, kFileMax));
    }
  }
  return Remote::create(identity, options.servers, trusted, waits, options.proxy, {}, connect);
}

Result<void> trust_roots(Fs& fs, Layout const& layout, EnrollOptions const& options, wire::EnrollResponse const& response) {
  FolderStore releases(fs, layout.release_metadata()), directives(fs, layout.directive_metadata());
  auto root = response.tuf_root;
  if (!options.tuf_root_file.empty()) {
    FLEET_TRY(root, fs.read(options.tuf_root_file, kFileMax));
  }
  FLEET_CHECK(trust::Updater::init(releases, as_bytes(root)));
  return trust::Updater::init(directives, as_bytes(response.directive_root));
}

}  // namespace

Result<std::string> enroll(Fs& fs, Clock& clock, Random& random, Layout const& layout, EnrollOptions const& options, Clock& waits,
                           net::Connect const& connect) {
  FLEET_CHECK(fs.make_dirs(layout.root));
  FLEET_TRY(auto const lock, DirLock::acquire(fs, layout.root));
  FLEET_TRY(auto identity, begin(fs, random, layout, options));
  FLEET_TRY(auto const token, read_token(fs, options));
  FLEET_CHECK(save_identity(fs, layout, identity));  // the key, before anybody hears of it
  FLEET_CHECK(fs.make_dirs(layout.state(), 0700));
  auto const trusted = TrustedClock::load(fs, clock, layout.floor());
  FLEET_TRY(auto const request, crypto::make_request(identity.private_key, identity.id));
  FLEET_TRY(auto const remote, reach(fs, identity, options, trusted, waits, connect));
  std::string recipient;
  if (!identity.wrap_key.empty()) {
    FLEET_TRY(auto const wrap_key, crypto::PrivateKey::load(identity.wrap_key));
    FLEET_TRY(recipient, crypto::public_pem(wrap_key));
  }
  wire::EnrollRequest const asked{token, request, identity.id, identity.hardware, identity.reported, recipient};
  auto const answer = remote->post("/device/v1/enroll", wire::encode(asked), Millis{30'000}, 4 * 1024 * 1024);
  if (!answer) return in_the_words_of_the_server(answer.error());
  FLEET_TRY(auto const response, wire::decode_enroll_response(answer->body));
  identity.id = response.id;
  if (response.state != "active" || response.certificate.empty()) {
    FLEET_CHECK(save_identity(fs, layout, identity));
    return response.state;
  }
  FLEET_CHECK(crypto::inspect_certificate(response.certificate));
  FLEET_CHECK(trust_roots(fs, layout, options, response));
  identity.certificate = response.certificate;
  if (!response.hardware.empty()) identity.hardware = response.hardware;
  FLEET_CHECK(save_identity(fs, layout, identity));
  return response.state;
}

Result<std::string> enroll_and_wait(Fs& fs, Clock& clock, Random& random, Layout const& layout, EnrollOptions const& options, Waiting const& waiting,
                                    Clock& waits) {
  auto const until = clock.mono() + waiting.timeout;
  auto between = kAskAgain;
  for (bool pending = false;; between = std::min(2 * between, kAskAgainMax)) {
    auto state = enroll(fs, clock, random, layout, options, waits);
    bool const out_of_reach = !state && (state.error().kind == Kind::unavailable || state.error().kind == Kind::timeout);
    if (!state && !(pending && out_of_reach)) return state.error();
    if (state && *state == "active") return state;
    if (!std::exchange(pending, true)) {
      FLEET_TRY(auto const identity, load_identity(fs, layout));
      FLEET_TRY(auto const key, crypto::public_key_digest(identity.private_key));
      waiting.say(fmt::format("waits for a person: fleetctl device approve {} --key {} --reason TEXT", identity.id, key.hex()));
    }
    auto const left = std::chrono::duration_cast<Millis>(until - clock.mono());
    if (left <= Millis{0})
      return Error{Kind::timeout, "enrolment_pending", fmt::format("the enrolment was not approved within {}", to_string(waiting.timeout)),
                   "once it is, run this command again: it goes on with the same key"};
    waiting.pause(std::min(between, left));
  }
}

}  // namespace fleet::agent
