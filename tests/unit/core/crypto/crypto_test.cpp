#include "core/base/fs.hpp"
#include "core/crypto/hash.hpp"
#include "core/crypto/keys.hpp"
#include "core/crypto/sealed.hpp"
#include "core/crypto/x509.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

using namespace fleet;
using namespace fleet::crypto;

namespace {

// RFC 8032, 7.1, test 1.
constexpr std::string_view kSeed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
constexpr std::string_view kPublic = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

SigningKey rfc_key() { return *SigningKey::from_seed(*from_hex(kSeed)); }
SysTime at(std::string_view text) { return *parse_rfc3339(text); }

}  // namespace

TEST_CASE("digests of FIPS 180-4") {
  CHECK(sha256("abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha512_hex(as_bytes("abc")).substr(0, 32) == "ddaf35a193617abacc417349ae204131");
  Sha256 stream;
  stream.update(as_bytes("a"));
  stream.update(as_bytes("bc"));
  CHECK(stream.finish() == sha256("abc"));
}

TEST_CASE("Ed25519 signs as RFC 8032 has it, and the key id is what securesystemslib computes") {
  auto const key = rfc_key();
  CHECK(key.public_key().value == kPublic);
  CHECK(key.key_id() == "74c181c7ad8a0855d4b55e44d2ba87aabdddb196832571f15f92fece332e4916");
  CHECK(to_hex(key.sign({})).starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"));
}

TEST_CASE("a golden TUF signature verifies, and nothing near it does") {
  std::string const message =
      R"({"_type":"timestamp","expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":1}},"spec_version":"1.0.34","version":1})";
  auto const signature =
      *from_hex("b5c949b9d2d229e1a0156e96f2e0381ba730629ca58ebc98125f673857d343ee614dbf65e041c59116534579644c11c8535db648ca435821ded230d07058a700");
  CHECK(sha256(message).hex() == "5309e584a4ca0ab6df36ed3faed79a55d7373589148d1da908e4270b836c3149");
  auto const key = rfc_key().public_key();
  CHECK(verify(key, as_bytes(message), signature).has_value());
  for (std::size_t i = 0; i < signature.size(); ++i) {
    auto flipped = signature;
    flipped[i] ^= 1;
    CHECK(verify(key, as_bytes(message), flipped).error().kind == Kind::signature);
  }
  CHECK_FALSE(verify(key, as_bytes(message + " "), signature).has_value());
  CHECK_FALSE(verify(key, as_bytes(message), BytesView(signature).first(63)).has_value());
  CHECK_FALSE(verify({"ed25519", "rsassa-pss-sha256", std::string(kPublic)}, as_bytes(message), signature).has_value());
  CHECK_FALSE(verify({"none", "none", std::string(kPublic)}, as_bytes(message), signature).has_value());
}

TEST_CASE("go-tuf 33d359c: a key of wrong length verifies nothing, and is no crash") {
  auto const signature = rfc_key().sign({});
  std::string const right(kPublic);
  CHECK(verify({"ed25519", "ed25519", right}, {}, signature).has_value());
  for (auto const& wrong : {std::string(), right.substr(2), right + "00", right.substr(1), std::string(63, 'z') + "0"}) {
    CAPTURE(wrong);
    CHECK_FALSE(verify({"ed25519", "ed25519", wrong}, {}, signature).has_value());
  }
}

TEST_CASE("CVE-2026-34155: a digest covers the last byte of a file beyond 2 GiB as well as its first") {
  auto const path = (std::filesystem::temp_directory_path() / make_ulid("fleet-big-", 0, system_random())).string();
  constexpr std::uint64_t kSize = (std::uint64_t{1} << 31) + 4097;
  auto const file = system_fs().open(path, Fs::Mode::create_new);
  REQUIRE(file.has_value());
  REQUIRE((*file)->truncate(kSize).has_value());  // without blocks: it takes no room
  auto const zeros = sha256_file(system_fs(), path);
  REQUIRE((*file)->write_at(kSize - 1, as_bytes("x")).has_value());
  auto const changed = sha256_file(system_fs(), path);
  CHECK(system_fs().remove(path).has_value());
  REQUIRE(zeros.has_value());
  REQUIRE(changed.has_value());
  CHECK(zeros->size == kSize);
  CHECK(changed->sha256 != zeros->sha256);
}

TEST_CASE("hashing ends between two pieces when it is told to, however long the file is") {
  std::atomic<bool> stop{false};
  std::thread other([&] { stop = true; });
  auto const hashed = sha256_file(system_fs(), "/dev/zero", &stop);  // without end
  other.join();
  REQUIRE_FALSE(hashed.has_value());
  CHECK(hashed.error().code == "interrupted");
}

TEST_CASE("keys of small order sign nothing") {
  // With the identity point as key, R = identity and S = 0 would verify for every message in a lax verifier (ed25519-speccheck, case 0).
  std::string const identity = "0100000000000000000000000000000000000000000000000000000000000000";
  CHECK_FALSE(verify({"ed25519", "ed25519", identity}, as_bytes("anything"), *from_hex(identity + std::string(64, '0'))).has_value());
}

TEST_CASE("a device certificate belongs to the key of its request, whatever the request calls itself") {
  auto const ca = make_ca("Fleet CA", at("2026-01-01T00:00:00Z"), at("2036-01-01T00:00:00Z"));
  REQUIRE(ca.has_value());
  auto const key = make_private_key();
  auto const request = make_request(*key, "somebody else");
  auto const asked = inspect_request(*request);
  REQUIRE(asked.has_value());
  CHECK(asked->common_name == "somebody else");
  auto const certificate = issue_device_certificate(*ca, *request, "cam-1", at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
  REQUIRE(certificate.has_value());
  auto const info = inspect_certificate(*certificate);
  CHECK(info->common_name == "cam-1");
  CHECK(info->key_sha256 == asked->key_sha256);
  CHECK(info->not_after == at("2027-01-01T00:00:00Z"));
  auto broken = *request;
  broken[broken.size() / 2] = broken[broken.size() / 2] == 'A' ? 'B' : 'A';
  CHECK_FALSE(issue_device_certificate(*ca, broken, "cam-1", at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).has_value());
  CHECK_FALSE(make_server_certificate(*ca, {"bad,DNS:evil"}, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).has_value());
  CHECK(make_server_certificate(*ca, {"localhost", "127.0.0.1", "::1"}, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")).has_value());
}

TEST_CASE("sealed bytes open with their passphrase only, whole only") {
  SeededRandom random(3);
  Bytes plain(StreamOpener::kFramePlainMax + 100, 7);
  auto const sealed = seal(plain, "correct horse", random);
  REQUIRE(sealed.has_value());
  CHECK(*unseal(*sealed, "correct horse") == plain);
  CHECK(unseal(*sealed, "wrong").error().kind == Kind::unauthenticated);
  auto cut = *sealed;
  cut.resize(StreamOpener::header_size() + StreamOpener::kFramePlainMax + StreamOpener::frame_overhead());
  CHECK_FALSE(unseal(cut, "correct horse").has_value());
  auto flipped = *sealed;
  flipped.back() ^= 1;
  CHECK_FALSE(unseal(flipped, "correct horse").has_value());
  CHECK(equal_secrets(as_bytes("abc"), as_bytes("abc")));
  CHECK_FALSE(equal_secrets(as_bytes("abc"), as_bytes("abd")));
}
