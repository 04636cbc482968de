#include "cli/signing/token_key.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fleet;

// Tokens that hold keys are in tests/e2e/token_keys.sh.
TEST_CASE("what names no key is refused before a token is asked") {
  CHECK(pkcs11::is_uri("pkcs11:token=a"));
  CHECK_FALSE(pkcs11::is_uri("alice.key"));
  struct Case {
    char const* uri;
    char const* code;
  };
  for (auto const& [uri, code] : {
           Case{"pkcs11:%zz", "bad_key_uri"},
           Case{"pkcs11:object=a;tokne=b", "bad_key_uri"},
           Case{"pkcs11:object=a;type=nonsense", "bad_key_uri"},
           Case{"pkcs11:object=a?pin-value=1234", "bad_key_uri"},
           Case{"pkcs11:object=a?module-path=/nowhere/none.so", "key_device"},
           Case{"pkcs11:token=no-such-token-anywhere;object=a", "key_device"},
       }) {
    CAPTURE(uri);
    auto const key = pkcs11::Key::open(uri, system_fs());
    REQUIRE_FALSE(key.has_value());
    CHECK(key.error().code == code);
    CHECK(key.error().detail.find("1234") == std::string::npos);
  }
}
