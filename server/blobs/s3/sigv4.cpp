#include "server/blobs/s3/sigv4.hpp"

#include "core/crypto/hash.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace fleet::s3 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

Digest mac(BytesView key, std::string_view text) { return crypto::hmac_sha256(key, as_bytes(text)); }

/// Without spaces at the ends, and one where there are several in a row.
std::string trimmed(std::string_view value) {
  std::string out;
  for (char const c : value)
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

/// In the order of their names; values of one name keep theirs.
Pairs sorted_headers(Pairs headers) {
  std::stable_sort(headers.begin(), headers.end(), [](auto const& a, auto const& b) { return a.first < b.first; });
  return headers;
}

std::string signed_names(Pairs const& headers) {
  std::string out;
  std::string_view last;
  for (auto const& [name, value] : headers) {
    if (name == last) continue;
    out += (out.empty() ? "" : ";") + name;
    last = name;
  }
  return out;
}

std::string credential_scope(Scope const& scope, std::string_view date) { return fmt::format("{}/{}/{}/aws4_request", date.substr(0, 8), scope.region, scope.service); }

std::string signature_of(Request const& request, Credentials const& who, Scope const& scope, std::string_view date) {
  auto const to_sign = fmt::format("{}\n{}\n{}\n{}", kAlgorithm, date, credential_scope(scope, date), crypto::sha256(canonical_request(request)).hex());
  auto key = mac(as_bytes("AWS4" + who.secret), date.substr(0, 8));
  for (std::string_view const part : {std::string_view{scope.region}, std::string_view{scope.service}, std::string_view{"aws4_request"}}) key = mac(key.bytes, part);
  return mac(key.bytes, to_sign).hex();
}

}  // namespace

std::string uri_encode(std::string_view text, bool slashes) {
  constexpr std::string_view kAsItIs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (char const c : text)
    if (kAsItIs.find(c) != std::string_view::npos || (c == '/' && !slashes)) out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return out;
}

std::string canonical_query(Pairs const& query) {
  Pairs encoded;
  for (auto const& [name, value] : query) encoded.emplace_back(uri_encode(name, true), uri_encode(value, true));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (auto const& [name, value] : encoded) out += fmt::format("{}{}={}", out.empty() ? "" : "&", name, value);
  return out;
}

std::string canonical_request(Request const& request) {
  auto const headers = sorted_headers(request.headers);
  std::string lines;
  std::string_view last;
  for (auto const& [name, value] : headers) {
    if (name == last) lines.back() = ',', lines += trimmed(value) + "\n";
    else lines += fmt::format("{}:{}\n", name, trimmed(value));
    last = name;
  }
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, uri_encode(request.path, false), canonical_query(request.query), lines, signed_names(headers), request.payload_sha256);
}

std::string amz_date(SysTime now) { return fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count())); }

std::string authorization(Request const& request, Credentials const& who, Scope const& scope, SysTime now) {
  auto const date = amz_date(now);
  return fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm, who.key_id, credential_scope(scope, date), signed_names(sorted_headers(request.headers)),
                     signature_of(request, who, scope, date));
}

std::string presigned_query(Request request, Credentials const& who, Scope const& scope, SysTime now, std::chrono::seconds lifetime) {
  auto const date = amz_date(now);
  request.query.insert(request.query.end(), {{"X-Amz-Algorithm", std::string(kAlgorithm)},
                                             {"X-Amz-Credential", who.key_id + "/" + credential_scope(scope, date)},
                                             {"X-Amz-Date", date},
                                             {"X-Amz-Expires", std::to_string(lifetime.count())},
                                             {"X-Amz-SignedHeaders", signed_names(sorted_headers(request.headers))}});
  if (!who.session_token.empty()) request.query.emplace_back("X-Amz-Security-Token", who.session_token);
  return canonical_query(request.query) + "&X-Amz-Signature=" + signature_of(request, who, scope, date);
}

}  // namespace fleet::s3
