#include "agent/store/credentials.hpp"

#include "core/crypto/certificates.hpp"
#include "core/crypto/private_key.hpp"
#include "core/crypto/x509.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

namespace fleet::agent {
namespace {

SysTime const kFrom = compiled_at(), kUntil = compiled_at() + std::chrono::days{365};
std::string const kFirstKey = crypto::make_private_key().value();

std::string certify(std::string const& key) {
  static auto const ca = crypto::make_ca("test", kFrom, kUntil).value();
  return crypto::issue_device_certificate(ca, crypto::make_request(key, "cam-1").value(), "cam-1", kFrom, kUntil).value();
}
std::string const kFirst = certify(kFirstKey);

struct Folder {
  CrashFs fs;
  Layout layout{"/agent"};
  Credentials kept{fs, layout};
  Identity identity{"cam-1", "cam-a", {}, {}, kFirstKey, kFirst, "CA"};

  Folder() {
    fs.put("/agent/agent.yaml", "{}");
    REQUIRE(save_identity(fs, layout, identity).has_value());
  }
  [[nodiscard]] std::vector<Credential> known() {
    auto const now = load_identity(fs, layout);
    REQUIRE(now.has_value());
    auto const out = kept.load(*now);
    REQUIRE(out.has_value());
    return *out;
  }
};

TEST_CASE("a renewed credential is tried first, and the one in use is put aside only once the renewed one was used") {
  Folder folder;
  auto const key = folder.kept.renewal_key(kFirstKey);
  REQUIRE(key.has_value());
  CHECK(*folder.kept.renewal_key(kFirstKey) == *key);  // asked again after a lost answer
  CHECK(folder.known() == std::vector<Credential>{{kFirstKey, kFirst}});
  auto const second = certify(*key);
  REQUIRE(folder.kept.keep_renewed(second).has_value());
  CHECK(folder.known() == std::vector<Credential>{{*key, second}, {kFirstKey, kFirst}});
  REQUIRE(folder.kept.promote().has_value());
  CHECK(folder.known() == std::vector<Credential>{{*key, second}, {kFirstKey, kFirst}});
  CHECK(folder.fs.text("/agent/identity/key.pem") == *key);
  CHECK(folder.fs.text("/agent/identity/certificate.pem") == second);
  CHECK(*folder.kept.renewal_key(*key) != *key);
  CHECK(folder.kept.promote().has_value());  // nothing is kept: nothing to do
}

TEST_CASE("a key in a TPM renews its certificate and stays") {
  Folder folder;
  folder.identity.private_key = "handle:0x81000001";
  REQUIRE(save_identity(folder.fs, folder.layout, folder.identity).has_value());
  CHECK(*folder.kept.renewal_key("handle:0x81000001") == "handle:0x81000001");
  REQUIRE(folder.kept.keep_renewed("CERTIFICATE 2").has_value());
  CHECK(folder.known().front() == Credential{"handle:0x81000001", "CERTIFICATE 2"});
  REQUIRE(folder.kept.promote().has_value());
  CHECK(folder.known() == std::vector<Credential>{{"handle:0x81000001", "CERTIFICATE 2"}});
  CHECK_FALSE(folder.fs.text("/agent/identity/renewed-key.pem").has_value());
}

TEST_CASE("a certificate is never used with a key that is not its own, and without a pair the device says so") {
  Folder folder;
  auto const other = crypto::make_private_key().value();
  folder.fs.put("/agent/identity/key.pem", other);
  auto const none = folder.kept.load(*load_identity(folder.fs, folder.layout));
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().code == "no_credential");
  auto const certificate = certify(other);
  folder.fs.put("/agent/identity/renewed-certificate.pem", certificate);
  CHECK(folder.known() == std::vector<Credential>{{other, certificate}});
}

}  // namespace
}  // namespace fleet::agent
