#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"

#include <string>
#include <vector>

namespace fleet::crypto {

/// Everything in PEM; a text of several certificates stands for its first. Keys are P-256 (TPMs have no Ed25519), PKCS#8.
struct CertificateAndKey {
  std::string certificate;
  std::string private_key;
};

struct CertificateInfo {
  std::string common_name;
  Digest key_sha256;   ///< SHA-256 of the SubjectPublicKeyInfo, DER: what a device is pinned by
  std::string serial;  ///< hex
  SysTime not_before;
  SysTime not_after;
};

struct RequestInfo {
  std::string common_name;
  Digest key_sha256;
};

/// A new P-256 private key, PKCS#8 PEM.
[[nodiscard]] Result<std::string> make_private_key();
/// A self-signed CA certificate, pathlen 0, keyCertSign and cRLSign only.
[[nodiscard]] Result<CertificateAndKey> make_ca(std::string const& common_name, SysTime from, SysTime until);
/// A server certificate with every host as a DNS or IP subject alternative name; extended key usage serverAuth.
[[nodiscard]] Result<CertificateAndKey> make_server_certificate(CertificateAndKey const& ca, std::vector<std::string> const& hosts, SysTime from,
                                                                SysTime until);
/// PKCS#10 request for `private_key` (PEM, or the URI of one in a device), subject CN=common_name.
[[nodiscard]] Result<std::string> make_request(std::string const& private_key, std::string const& common_name);
/// Parses a request and verifies its own signature; P-256 keys only. @errors bad_input, signature
[[nodiscard]] Result<RequestInfo> inspect_request(std::string const& request_pem);
/// A client certificate for the key of `request_pem`, CN=device_id (the request's own subject is ignored); clientAuth only.
[[nodiscard]] Result<std::string> issue_device_certificate(CertificateAndKey const& ca, std::string const& request_pem, std::string const& device_id,
                                                           SysTime from, SysTime until);
/// @errors bad_input
[[nodiscard]] Result<CertificateInfo> inspect_certificate(std::string const& certificate_pem);

}  // namespace fleet::crypto
