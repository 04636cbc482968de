#include "core/crypto/jws.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using crypto::JwsKey;

namespace {

Bytes b64(std::string_view text) { return from_base64url(text).value(); }

// RFC 7515, A.2 and A.3: one payload, signed by each.
std::string const kPayload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
std::string const kRsaSigned = "eyJhbGciOiJSUzI1NiJ9." + kPayload, kEcSigned = "eyJhbGciOiJFUzI1NiJ9." + kPayload;
Bytes const kModulus = b64(
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9w"
    "Gzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGN"
    "j8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ");
Bytes const kExponent = b64("AQAB");
Bytes const kRsaSignature = b64(
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnby"
    "TyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt"
    "5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw");
Bytes const kX = b64("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), kY = b64("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
Bytes const kEcSignature = b64("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");

}  // namespace

TEST_CASE("RFC 7515's own examples verify, and nothing near them") {
  struct Case {
    JwsKey key;
    std::string message;
    Bytes signature;
  };
  for (auto const& [key, message, signature] :
       {Case{*JwsKey::rsa(kModulus, kExponent), kRsaSigned, kRsaSignature}, Case{*JwsKey::p256(kX, kY), kEcSigned, kEcSignature}}) {
    CAPTURE(key.algorithm());
    CHECK(key.verify(as_bytes(message), signature).has_value());
    CHECK_FALSE(key.verify(as_bytes(message + "x"), signature).has_value());
    CHECK_FALSE(key.verify(as_bytes(message), {}).has_value());
    auto longer = signature;
    longer.push_back(0);
    CHECK_FALSE(key.verify(as_bytes(message), longer).has_value());
    for (std::size_t i = 0; i < signature.size(); i += 7) {
      auto flipped = signature;
      flipped[i] ^= 1;
      CHECK(key.verify(as_bytes(message), flipped).error().kind == Kind::signature);
    }
  }
  CHECK_FALSE(JwsKey::rsa(kModulus, kExponent)->verify(as_bytes(kEcSigned), kEcSignature).has_value());
  CHECK_FALSE(JwsKey::p256(kX, kY)->verify(as_bytes(kEcSigned), Bytes(64, 0)).has_value());  // CVE-2022-21449: r = s = 0
}

TEST_CASE("keys that are none, or too weak, are refused") {
  CHECK(JwsKey::rsa(Bytes(kModulus.begin(), kModulus.begin() + 128), kExponent).error().code == "bad_key");
  CHECK(JwsKey::rsa({}, kExponent).error().code == "bad_key");
  CHECK(JwsKey::rsa(Bytes(2'000, 0xff), kExponent).error().code == "bad_key");
  for (auto const& exponent : {Bytes{}, Bytes{1}, Bytes{3}, Bytes{1, 0, 0}, Bytes(9, 0xff)}) CHECK(JwsKey::rsa(kModulus, exponent).error().code == "bad_key");
  CHECK(JwsKey::p256(kY, kX).error().code == "bad_key");
  CHECK(JwsKey::p256(Bytes(32, 0), Bytes(32, 0)).error().code == "bad_key");
  CHECK(JwsKey::p256(Bytes(kX.begin(), kX.begin() + 31), kY).error().code == "bad_key");
}
