#pragma once

#include "core/base/bytes.hpp"
#include "core/base/time.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// AWS Signature Version 4: what a request is signed with, in a header or in its URL. Pure: the time is given.
/// @source docs.aws.amazon.com, "Signature Version 4 signing process"; checked by the vectors published there (tests/unit/server/blobs/s3)
namespace fleet::s3 {

struct Credentials {
  std::string key_id, secret;
  std::string session_token = {};  ///< of temporary ones
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// `UNSIGNED-PAYLOAD` stands for the body's hash where its bytes are not known: in URLs.
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

/// What is signed of a request.
struct Request {
  std::string method;
  std::string path;  ///< as it is meant, not encoded; begins with /
  Pairs query = {};  ///< not encoded, in any order
  Pairs headers;     ///< names in lower case, in any order; `host` must be among them
  std::string payload_sha256;  ///< hex, or kUnsignedPayload
};

struct Scope {
  std::string region;
  std::string service = "s3";
};

/// All but RFC 3986's unreserved characters as %XX. @param slashes  they are encoded, too
[[nodiscard]] std::string uri_encode(std::string_view text, bool slashes);
/// Sorted and encoded, as it is signed and as it must be sent.
[[nodiscard]] std::string canonical_query(Pairs const& query);
[[nodiscard]] std::string canonical_request(Request const& request);

/// `x-amz-date`: 20130524T000000Z.
[[nodiscard]] std::string amz_date(SysTime now);
/// The value of `Authorization`. `request.headers` hold all that shall be signed, `x-amz-date` among them.
[[nodiscard]] std::string authorization(Request const& request, Credentials const& who, Scope const& scope, SysTime now);
/// The query of a URL that whoever has it may use until it expires; the token of temporary credentials is part of it. @param lifetime  at most seven days
[[nodiscard]] std::string presigned_query(Request request, Credentials const& who, Scope const& scope, SysTime now, std::chrono::seconds lifetime);

}  // namespace fleet::s3
