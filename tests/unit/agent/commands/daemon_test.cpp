#include "agent/commands/daemon.hpp"

#include "agent/store/credentials.hpp"
#include "core/crypto/certificates.hpp"
#include "core/crypto/private_key.hpp"
#include "core/crypto/x509.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

namespace fleet::agent {
namespace {

SysTime const kFrom = compiled_at(), kUntil = compiled_at() + std::chrono::days{365};

crypto::CertificateAndKey const& authority() {
  static auto const made = crypto::make_ca("test", kFrom, kUntil).value();
  return made;
}
std::string certify(std::string const& key) {
  return crypto::issue_device_certificate(authority(), crypto::make_request(key, "cam-1").value(), "cam-1", kFrom, kUntil).value();
}

/// An enrolled device whose daemon has run once.
struct Installed {
  CrashFs fs;
  FakeClock clock{compiled_at() + std::chrono::days{1}};
  SeededRandom random{7};
  Layout layout{"/agent"};
  Config config;
  Credential first;

  Installed() {
    static auto const key = crypto::make_private_key().value();
    static auto const certificate = certify(key);
    first = {key, certificate};
    fs.put("/agent/agent.yaml", "{}");
    REQUIRE(save_identity(fs, layout, {"cam-1", "cam-a", {"https://127.0.0.1:1"}, {}, key, certificate, authority().certificate}).has_value());
    REQUIRE(open_daemon(fs, clock, random, layout, config, system_clock()).has_value());
    fs.restart(CrashFs::Loss::nothing);
  }
  Result<Daemon> start() { return open_daemon(fs, clock, random, layout, config, system_clock()); }
};

bool is_pair(Identity const& identity) {
  return crypto::public_key_digest(identity.private_key).value() == crypto::inspect_certificate(identity.certificate)->key_sha256;
}

TEST_CASE("the power may go at every write of a renewal: the daemon starts, with a whole credential that the server knows") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    bool renewed = false;
    for (int cut = 1; !renewed; ++cut) {
      CAPTURE(cut);
      Installed device;
      Credentials kept(device.fs, device.layout);
      Credential second;
      device.fs.cut_at(cut);
      auto const renew = [&]() -> Result<void> {
        FLEET_TRY(second.private_key, kept.renewal_key(device.first.private_key));
        second.certificate = certify(second.private_key);
        FLEET_CHECK(kept.keep_renewed(second.certificate));
        return kept.promote();
      };
      renewed = renew().has_value();
      device.fs.restart(loss);
      auto const daemon = device.start();
      REQUIRE_MESSAGE(daemon.has_value(), daemon.error().detail);
      auto const& identity = daemon->context->identity;
      CHECK(is_pair(identity));
      Credential const used{identity.private_key, identity.certificate};
      CHECK((used == device.first || used == second));
      REQUIRE(kept.promote().has_value());
      REQUIRE(device.start().has_value());
      REQUIRE(cut < 100);
    }
  }
}

TEST_CASE("the power may go at every write of a start and of a life: the daemon starts again") {
  for (auto const loss : {CrashFs::Loss::nothing, CrashFs::Loss::unsynced}) {
    bool whole = false;
    for (int cut = 1; !whole; ++cut) {
      CAPTURE(cut);
      Installed device;
      device.config.report = {{"firmware", "2"}};
      device.fs.cut_at(cut);
      auto const live = [&]() -> Result<void> {
        FLEET_TRY(auto const daemon, device.start());
        Told const told{7, device.clock.wall() + std::chrono::days{7}, {}};
        FLEET_CHECK(save_told(daemon.context->fs, device.layout.directive(), told));
        ModelState state;
        state.model = "reader";
        return daemon.context->journal.save(state);
      };
      whole = live().has_value() && !device.fs.was_hit();
      device.fs.restart(loss);
      auto const daemon = device.start();
      REQUIRE_MESSAGE(daemon.has_value(), daemon.error().detail);
      CHECK(is_pair(daemon->context->identity));
      REQUIRE(cut < 200);
    }
  }
}

TEST_CASE("on a disk that is full, read-only or broken the daemon starts, goes by what it was told, and knows what to tell") {
  struct Case {
    Error error;
    std::string trouble;
  };
  for (auto const& [error, trouble] : std::to_array<Case>({
           {{Kind::unavailable, "disk_full", "no space left on device"}, "disk_full"},
           {{Kind::io, "read_only", "read-only file system"}, "disk_read_only"},
           {{Kind::io, "io_error", "input/output error"}, "disk_failed"},
       })) {
    CAPTURE(trouble);
    Installed device;
    REQUIRE(save_told(device.fs, device.layout.directive(), {7, device.clock.wall() + std::chrono::days{7}, {}}).has_value());
    device.config.report = {{"firmware", "2"}};
    device.fs.refuse(error);
    auto const daemon = device.start();
    REQUIRE_MESSAGE(daemon.has_value(), daemon.error().detail);
    CHECK(daemon->runner->told().sequence == 7);
    CHECK(daemon->context->disk->trouble() == trouble);
    device.fs.refuse(std::nullopt);
    REQUIRE(daemon->context->fs.replace("/agent/state/any", "x").has_value());
    CHECK(daemon->context->disk->trouble().empty());
  }
}

TEST_CASE("a device without a credential says that it waits for a person, or must be enrolled anew") {
  Installed device;
  device.fs.put("/agent/identity/key.pem", crypto::make_private_key().value());
  CHECK(device.start().error().code == "no_credential");
  REQUIRE(device.fs.remove("/agent/identity/certificate.pem").has_value());
  CHECK(device.start().error().code == "enrolment_pending");
}

}  // namespace
}  // namespace fleet::agent
