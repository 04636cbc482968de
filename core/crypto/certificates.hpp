#pragma once

#include "core/crypto/x509.hpp"

#include <string>
#include <string_view>
#include <vector>

struct x509_st;  // X509 of OpenSSL
struct X509_pubkey_st;

/// Judging certificates of several authorities; making them is x509.hpp's.
namespace fleet::crypto {

/// The certificates of a PEM text, one text each, in their order; what is between them is left out.
[[nodiscard]] std::vector<std::string> split_certificates(std::string_view pem);
/// True when the key of `ca_pem`'s first certificate signed `certificate_pem`'s first. @errors bad_input
[[nodiscard]] Result<bool> is_issued_by(std::string const& certificate_pem, std::string const& ca_pem);
/// SHA-256 of the SubjectPublicKeyInfo that belongs to a private key (PEM or URI): which certificate it is the key of. @errors as PrivateKey::load
[[nodiscard]] Result<Digest> public_key_digest(std::string const& private_key);

/// SHA-256 of a certificate's or request's SubjectPublicKeyInfo, its usual form: one key, one digest, however it is written. @errors bad_input
[[nodiscard]] Result<Digest> key_digest(X509_pubkey_st* key);
/// Whether a certificate is valid at `now`: OpenSSL's X509_V_OK, X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED, or that a time in it is
/// none. Judged here, because OpenSSL's own `time_t` ends in 2038 where Debian builds it for 32 bits.
[[nodiscard]] int time_fault(x509_st const* certificate, SysTime now);

/// Whether a client's certificate, in DER, leads to one of `anchors_pem` (RFC 5280, 6): signatures, validity at `now`, and fit for a client.
/// Each anchor is trusted as it stands, a root or an issuing CA below one.
/// @returns what it says
/// SHA-1 and keys of less than 112 bits (RSA-1024) lead nowhere.
/// @errors unauthenticated, with OpenSSL's reason: code `certificate_of_others` where it is none of the anchors', else
///   `certificate_not_trusted`; bad_input
[[nodiscard]] Result<CertificateInfo> verify_client(BytesView certificate_der, std::string const& anchors_pem, SysTime now);

}  // namespace fleet::crypto
