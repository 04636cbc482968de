// Certificate requests as devices send them and certificates as servers answer: PEM in front of OpenSSL's parser.
#include "core/base/bytes.hpp"
#include "core/crypto/x509.hpp"

using namespace fleet;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string const pem(as_text({data, size}));
  static_cast<void>(crypto::inspect_request(pem));
  static_cast<void>(crypto::inspect_certificate(pem));
  return 0;
}
