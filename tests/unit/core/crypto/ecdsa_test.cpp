#include "core/crypto/ecdsa.hpp"

#include <doctest/doctest.h>

using namespace fleet;

TEST_CASE("a point and a signature in the short forms verify as a TUF key does") {
  // RFC 7515, A.3.
  auto const x = from_base64url("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").value(),
             y = from_base64url("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").value();
  std::string const message = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
  auto const raw = from_base64url("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q").value();
  Bytes point{0x04};
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());

  auto const key = crypto::p256_key(point);
  REQUIRE(key.has_value());
  CHECK(key->keytype == "ecdsa");
  CHECK(crypto::key_bytes(*key).has_value());
  auto const der = crypto::ecdsa_der(raw);
  REQUIRE(der.has_value());
  CHECK(crypto::verify(*key, as_bytes(message), *der).has_value());
  CHECK_FALSE(crypto::verify(*key, as_bytes(message + "x"), *der).has_value());

  CHECK(crypto::ecdsa_der(BytesView(raw).first(63)).error().code == "bad_signature");
  CHECK(crypto::p256_key(BytesView(point).first(64)).error().code == "bad_key");
  point.back() ^= 1;
  CHECK(crypto::p256_key(point).error().code == "bad_key");
}
