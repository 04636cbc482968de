#include "core/crypto/certificates.hpp"

#include "core/crypto/private_key.hpp"
#include "tests/unit/core/crypto/foreign_certificates.hpp"

#include <doctest/doctest.h>

namespace fleet::crypto {
namespace {

auto const kNow = *parse_rfc3339("2026-11-20T10:00:00Z");
constexpr auto kDay = std::chrono::hours(24);

CertificateAndKey authority(std::string const& name) { return make_ca(name, kNow - kDay, kNow + 3650 * kDay).value(); }

Bytes der_of(std::string const& text) {
  auto const body = text.substr(text.find('\n') + 1, text.rfind("\n-----END") - text.find('\n') - 1);
  std::string joined;
  for (char const c : body)
    if (c != '\n') joined += c;
  return from_base64(joined).value();
}

TEST_CASE("certificates of one text come apart, and what is between them is left out") {
  auto const first = authority("first").certificate, second = authority("second").certificate;
  CHECK(split_certificates(first + "a note\n" + second) == std::vector<std::string>{first, second});
  CHECK(split_certificates("nothing").empty());
}

TEST_CASE("who issued a certificate is told by the signature, not by the name") {
  auto const issuer = authority("CA"), namesake = authority("CA");
  auto const made = make_server_certificate(issuer, {"host"}, kNow, kNow + kDay).value();
  CHECK(*is_issued_by(made.certificate, issuer.certificate));
  CHECK_FALSE(*is_issued_by(made.certificate, namesake.certificate));
  CHECK_FALSE(is_issued_by("", issuer.certificate).has_value());
}

TEST_CASE("a private key tells which certificate it is the key of") {
  auto const made = make_server_certificate(authority("CA"), {"host"}, kNow, kNow + kDay).value();
  CHECK(*public_key_digest(made.private_key) == inspect_certificate(made.certificate)->key_sha256);
  CHECK(public_key_digest("no key").error().code == "bad_key");
  CHECK(is_key_uri("handle:0x81000001"));
  CHECK_FALSE(is_key_uri(made.private_key));
}

TEST_CASE("a client's certificate is judged by signature, time and use") {
  auto const ca = authority("factory");
  auto const request = make_request(make_private_key().value(), "unit-1").value();
  auto const pem = issue_device_certificate(ca, request, "unit-1", kNow - kDay, kNow + kDay).value();
  auto const good = verify_client(der_of(pem), authority("other").certificate + ca.certificate, kNow);
  REQUIRE_MESSAGE(good.has_value(), good.error().detail);
  CHECK(good->common_name == "unit-1");
  CHECK(verify_client(der_of(pem), authority("other").certificate, kNow).error().code == "certificate_of_others");
  CHECK(verify_client(der_of(pem), ca.certificate, kNow + 2 * kDay).error().detail.find("expired") != std::string::npos);
  auto const server = make_server_certificate(ca, {"host"}, kNow - kDay, kNow + kDay).value();
  CHECK(verify_client(der_of(server.certificate), ca.certificate, kNow).error().code == "certificate_not_trusted");
  CHECK(verify_client(Bytes{1, 2, 3}, ca.certificate, kNow).error().code == "bad_certificate");
}

TEST_CASE("times of a certificate are what they were made with, however far") {
  for (auto const* text : {"1970-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "2038-01-19T03:14:08Z", "2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z",
                           "2106-02-07T06:28:16Z", "9999-12-31T23:59:59Z"}) {
    CAPTURE(text);
    auto const at = parse_rfc3339(text).value();
    auto const info = inspect_certificate(make_ca("far", at, at + Millis{999}).value().certificate).value();
    CHECK(info.not_before == at);
    CHECK(info.not_after == at);
  }
}

TEST_CASE("a client's certificate is judged on days after 2038, too") {
  auto const late = parse_rfc3339("2040-06-01T00:00:00Z").value();
  auto const ca = make_ca("factory", kNow, late + 3650 * kDay).value();
  auto const request = make_request(make_private_key().value(), "unit-1").value();
  auto const der = der_of(issue_device_certificate(ca, request, "unit-1", late, late + kDay).value());
  CHECK(verify_client(der, ca.certificate, late).has_value());
  CHECK(verify_client(der, ca.certificate, late + kDay).has_value());
  CHECK(verify_client(der, ca.certificate, late + kDay + seconds{1}).error().detail.find("expired") != std::string::npos);
  CHECK(verify_client(der, ca.certificate, late - seconds{1}).error().detail.find("not yet valid") != std::string::npos);
  auto const brief = make_ca("factory", kNow, late).value();
  auto const outlives = der_of(issue_device_certificate(brief, request, "unit-1", late - kDay, late + kDay).value());
  CHECK(verify_client(outlives, brief.certificate, late + seconds{1}).error().detail.find("expired") != std::string::npos);
}

TEST_CASE("what SHA-1 signed, and keys that are too short, lead to no factory") {
  REQUIRE(verify_client(der_of(testing::kGood), testing::kFactoryCa, kNow + 30 * kDay).has_value());
  for (auto const* const weak : {testing::kSha1, testing::kRsa1024}) {
    auto const judged = verify_client(der_of(weak), testing::kFactoryCa, kNow + 30 * kDay);
    REQUIRE_FALSE(judged.has_value());
    CHECK(judged.error().code == "certificate_not_trusted");
    CHECK(judged.error().detail.find("too weak") != std::string::npos);
  }
}

TEST_CASE("a key is one key, however its point and its curve are written") {
  auto const usual = inspect_certificate(testing::kGood)->key_sha256;
  CHECK(usual.hex() == "2d59b6e1fcdf445425f514ff6dd9d5db02820fd9868567125f4a005ae8713bd6");
  for (auto const* const form : {testing::kCompressed, testing::kHybrid, testing::kExplicit}) {
    auto const info = inspect_certificate(form);
    CHECK((!info || info->key_sha256 == usual));  // refused, or the same
  }
  CHECK(inspect_certificate(testing::kCompressed)->key_sha256 == usual);
}

}  // namespace
}  // namespace fleet::crypto
