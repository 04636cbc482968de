#include "core/crypto/data_key.hpp"
#include "core/crypto/certificates.hpp"
#include "core/crypto/hpke.hpp"
#include "core/crypto/wrapped_key.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fleet;
using namespace fleet::crypto;

namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }

/// RFC 9180, appendix A: the first message of a context in base mode.
struct Vector {
  char const* name;
  std::string private_pem;  ///< of skRm
  std::string_view seed;    ///< ikmE
  std::string_view sealed;  ///< enc, ct
};
constexpr std::string_view kInfo = "4f6465206f6e2061204772656369616e2055726e", kAad = "436f756e742d30",
                           kPlain = "4265617574792069732074727574682c20747275746820626561757479";

std::vector<Vector> vectors() {
  return {{"A.2.1",
           "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIIBXmR7vjx8a8Y9KlJHRahzjM/aV1NuOONp1l1xEeOD7\n-----END PRIVATE KEY-----\n",
           "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b",
           "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
           "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"},
          {"A.5.1",
           "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgpNHFWDaqMPmz+7as\n"
           "mNM4yHfChn3Tp3OW0T9o06sVDTuhRANCAASml7/96UBcmSiDxcQ51sw1gXC1Gvco\nEjM7AVYh3A9Autm7cm9opcATgGp5DscWq4Zp+E9raUWWwph881uroqAG\n"
           "-----END PRIVATE KEY-----\n",
           "f1f1a3bc95416871539ecb51c3a8f0cf608afb40fbbe305c0a72819d35c33f1f",
           "04c07836a0206e04e31d8ae99bfd549380b072a1b1b82e563c935c095827824fc1559eac6fb9e3c70cd3193968994e7fe9781aa103f5b50e934b5b2f387e381291"
           "6469c41c5c81d3aa85432531ecf6460ec945bde1eb428cb2fedf7a29f5a685b4ccb0d057f03ea2952a27bb458b"}};
}

DataKey key_of(char fill) { return *DataKey::from_bytes(Bytes(32, static_cast<std::uint8_t>(fill))); }

}  // namespace

TEST_CASE("HPKE seals and opens as RFC 9180 has it, for P-256 and X25519") {
  auto const info = hex(kInfo), aad = hex(kAad), plain = hex(kPlain);
  HpkeContext const context{info, aad};
  for (auto const& vector : vectors()) {
    CAPTURE(vector.name);
    auto const key = PrivateKey::load(vector.private_pem);
    REQUIRE(key.has_value());
    auto const recipient = read_recipient(*public_pem(*key));
    REQUIRE(recipient.has_value());
    auto const sealed = hpke_seal(*recipient, hex(vector.seed), context, plain);
    REQUIRE(sealed.has_value());
    CHECK(to_hex(*sealed) == vector.sealed);
    auto const opened = hpke_open(*key, context, *sealed);
    REQUIRE(opened.has_value());
    CHECK(*opened == plain);
  }
}

TEST_CASE("what was encrypted for one key opens by no other, for nothing else, and not changed or cut") {
  auto const info = hex(kInfo), aad = hex(kAad), plain = hex(kPlain);
  auto const keys = vectors();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto const key = *PrivateKey::load(keys[i].private_pem), other = *PrivateKey::load(keys[1 - i].private_pem);
    auto const sealed = hex(keys[i].sealed);
    auto const refused = [&](PrivateKey const& with, HpkeContext const& context, BytesView bytes) {
      auto const opened = hpke_open(with, context, bytes);
      return !opened && opened.error().code == "not_for_this_key";
    };
    CHECK(refused(other, {info, aad}, sealed));
    CHECK(refused(key, {aad, aad}, sealed));
    CHECK(refused(key, {info, info}, sealed));
    for (std::size_t at = 0; at < sealed.size(); ++at) {
      auto changed = sealed;
      changed[at] ^= 1;
      CHECK(refused(key, {info, aad}, changed));
      CHECK(refused(key, {info, aad}, BytesView(sealed).first(at)));
    }
    CHECK(refused(key, {info, aad}, Bytes(200)));
  }
}

TEST_CASE("nobody encrypts to a key of another kind") {
  CHECK(read_recipient("no key").error().code == "bad_key");
  // Ed25519, RFC 8410, 10.1: it signs and encrypts nothing.
  CHECK(read_recipient("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n").error().code == "bad_key");
}

TEST_CASE("a release's data key seals pieces that it alone opens, the same piece alike") {
  Bytes const secret(32, 7);
  Digest one, two;
  two.bytes[0] = 1;
  auto const key = DataKey::derive(secret, one), other = DataKey::derive(secret, two);
  CHECK(to_hex(key.bytes()) != to_hex(other.bytes()));
  CHECK(to_hex(key.bytes()) == to_hex(DataKey::derive(secret, one).bytes()));
  for (auto const size : {std::size_t{0}, std::size_t{1}, std::size_t{1000}}) {
    Bytes piece(size, 9);
    auto const sealed = key.seal(piece);
    CHECK(sealed.size() == size + DataKey::kOverhead);
    CHECK(sealed == key.seal(piece));
    CHECK(*key.open(sealed) == piece);
    CHECK(other.open(sealed).error().code == "not_opened");
    for (std::size_t at = 0; at < sealed.size(); at += 7) {
      auto changed = sealed;
      changed[at] ^= 1;
      CHECK(key.open(changed).error().code == "not_opened");
    }
    CHECK(key.open(BytesView(sealed).first(sealed.size() - 1)).error().code == "not_opened");
  }
  CHECK(key_of(1).seal(Bytes(3)) != key_of(2).seal(Bytes(3)));
  CHECK(DataKey::from_bytes(Bytes(31)).error().code == "bad_key");
  CHECK(key.secret_for("a", as_bytes("bc")) != key.secret_for("ab", as_bytes("c")));
}

TEST_CASE("a data key goes to one device, for one release, and always in the same words") {
  auto const own = *PrivateKey::load(*make_private_key()), other = *PrivateKey::load(*make_private_key());
  auto const recipient = *read_recipient(*public_pem(own));
  Digest release, another;
  another.bytes[5] = 1;
  auto const key = key_of(3);
  auto const wrapped = wrap(key, recipient, "cam-1", release);
  REQUIRE(wrapped.has_value());
  CHECK(*wrapped == *wrap(key, recipient, "cam-1", release));
  auto const opened = unwrap(own, *wrapped, "cam-1", release);
  REQUIRE(opened.has_value());
  CHECK(to_hex(opened->bytes()) == to_hex(key.bytes()));
  CHECK(unwrap(other, *wrapped, "cam-1", release).error().code == "not_for_this_key");
  CHECK(unwrap(own, *wrapped, "cam-2", release).error().code == "not_for_this_key");
  CHECK(unwrap(own, *wrapped, "cam-1", another).error().code == "not_for_this_key");
  CHECK(unwrap(own, "no base64", "cam-1", release).error().kind == Kind::bad_input);
  // To another device the ephemeral key is another.
  CHECK(wrapped->substr(0, 40) != wrap(key, recipient, "cam-2", release)->substr(0, 40));
}
