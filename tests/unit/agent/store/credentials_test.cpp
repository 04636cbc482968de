#include "agent/store/credentials.hpp"

#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

namespace fleet::agent {
namespace {

struct Folder {
  CrashFs fs;
  Layout layout{"/agent"};
  Credentials kept{fs, layout};
  Identity identity{"cam-1", "cam-a", {}, {}, "KEY 1", "CERTIFICATE 1", "CA"};

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
  auto const key = folder.kept.renewal_key("KEY 1");
  REQUIRE(key.has_value());
  CHECK(*folder.kept.renewal_key("KEY 1") == *key);  // asked again after a lost answer
  CHECK(folder.known() == std::vector<Credential>{{"KEY 1", "CERTIFICATE 1"}});
  REQUIRE(folder.kept.keep_renewed("CERTIFICATE 2").has_value());
  CHECK(folder.known() == std::vector<Credential>{{*key, "CERTIFICATE 2"}, {"KEY 1", "CERTIFICATE 1"}});
  REQUIRE(folder.kept.promote().has_value());
  CHECK(folder.known() == std::vector<Credential>{{*key, "CERTIFICATE 2"}, {"KEY 1", "CERTIFICATE 1"}});
  CHECK(folder.fs.text("/agent/identity/key.pem") == *key);
  CHECK(folder.fs.text("/agent/identity/certificate.pem") == "CERTIFICATE 2");
  CHECK(*folder.kept.renewal_key(*key) != *key);
  CHECK(folder.kept.promote().has_value());  // nothing is kept: nothing to do
}

TEST_CASE("a key in a TPM renews its certificate and stays") {
  Folder folder;
  folder.identity.private_key = "handle:0x81000001";
  REQUIRE(save_identity(folder.fs, folder.layout, folder.identity).has_value());
  CHECK(*folder.kept.renewal_key("handle:0x81000001") == "handle:0x81000001");
  REQUIRE(folder.kept.keep_renewed("CERTIFICATE 2").has_value());
  CHECK(folder.known() == std::vector<Credential>{{"handle:0x81000001", "CERTIFICATE 2"}});
  REQUIRE(folder.kept.promote().has_value());
  CHECK(folder.known() == std::vector<Credential>{{"handle:0x81000001", "CERTIFICATE 2"}});
  CHECK_FALSE(folder.fs.text("/agent/identity/renewed-key.pem").has_value());
}

TEST_CASE("the power may go at every write of a renewal: a whole credential that the server knows is always there") {
  for (int cut = 1;; ++cut) {
    CAPTURE(cut);
    Folder folder;
    std::string key;
    folder.fs.cut_at(cut);
    auto const renew = [&]() -> Result<void> {
      FLEET_TRY(key, folder.kept.renewal_key("KEY 1"));
      FLEET_CHECK(folder.kept.keep_renewed("CERTIFICATE OF " + key));
      return folder.kept.promote();
    };
    bool const done = renew().has_value();
    folder.fs.restart(CrashFs::Loss::unsynced);
    auto const known = folder.known();
    REQUIRE_FALSE(known.empty());
    for (auto const& one : known) {
      bool const first = one == Credential{"KEY 1", "CERTIFICATE 1"};
      bool const renewed = one.certificate == "CERTIFICATE OF " + one.private_key;
      CHECK((first || renewed));
    }
    REQUIRE(folder.kept.promote().has_value());
    CHECK(folder.known().front() == known.front());
    if (done) break;
    REQUIRE(cut < 100);
  }
}

}  // namespace
}  // namespace fleet::agent
