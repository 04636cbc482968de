#pragma once

#include "core/base/result.hpp"
#include "core/net/tls.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace fleet::bench {

/// The key and certificate of one device of the load. A server knows devices by their keys, so that the certificates are self-signed.
struct Identity {
  net::SslPtr<X509> certificate;
  EVP_PKEY* key = nullptr;
  Identity() = default;
  Identity(Identity&& other) noexcept : certificate(std::move(other.certificate)), key(std::exchange(other.key, nullptr)) {}
  Identity& operator=(Identity&&) = delete;
  ~Identity() { EVP_PKEY_free(key); }
};

/// Makes `count` identities, writes them to `file` (PEM, key and certificate by turns) and prints the SHA-256 of each public key, as the registry knows it.
Result<void> make_identities(std::size_t count, std::string const& file);
/// @errors bad_input
Result<std::vector<Identity>> read_identities(std::string const& pem);

}  // namespace fleet::bench
