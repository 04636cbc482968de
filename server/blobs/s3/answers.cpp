#include "server/blobs/s3/answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace fleet::s3 {
namespace {

constexpr std::size_t kElementMax = 1024;

/// What a store's error codes mean to whoever runs us. @source Amazon S3 API reference, Error responses
struct Known {
  std::string_view theirs, ours, hint;
};
constexpr std::string_view kLookAtCredentials = "look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or at --blobs-credentials, and at what they may do in the bucket";
constexpr auto kKnown = std::to_array<Known>({
    {"InvalidAccessKeyId", "blobs_refused", kLookAtCredentials},
    {"SignatureDoesNotMatch", "blobs_refused", kLookAtCredentials},
    {"AccessDenied", "blobs_refused", kLookAtCredentials},
    {"AllAccessDisabled", "blobs_refused", kLookAtCredentials},
    {"InvalidToken", "blobs_expired", "the session token is none of theirs: bring new credentials"},
    {"ExpiredToken", "blobs_expired", "temporary credentials have ended: bring new ones; a file that changes is read again"},
    {"RequestTimeTooSkewed", "blobs_clock", "this machine's clock and the store's are more than minutes apart"},
    {"RequestExpired", "blobs_clock", "this machine's clock and the store's are more than minutes apart"},
    {"NoSuchBucket", "blobs_no_bucket", "make the bucket, or name another"},
    {"AuthorizationHeaderMalformed", "blobs_wrong_region", "name the bucket's region: s3://...?region=NAME"},
    {"PermanentRedirect", "blobs_wrong_region", "name the bucket's endpoint and region"},
    {"SlowDown", "blobs_throttled", "it is asked again, more and more slowly"},
    {"TooManyRequests", "blobs_throttled", "it is asked again, more and more slowly"},
    {"ServiceUnavailable", "blobs_throttled", "it is asked again, more and more slowly"},
    {"XAmzContentSHA256Mismatch", "blobs_altered", "bytes change between here and the store: look at what lies between"},
    {"BadDigest", "blobs_altered", "bytes change between here and the store: look at what lies between"},
    {"IncompleteBody", "blobs_altered", "bytes are lost between here and the store: look at what lies between"},
});
/// Without a body that says more: to HEAD, and from what lies between.
struct KnownStatus {
  int status;
  std::string_view ours, hint;
};
constexpr auto kStatuses = std::to_array<KnownStatus>({
    {301, "blobs_wrong_region", "name the bucket's endpoint and region"},
    {307, "blobs_wrong_region", "name the bucket's endpoint and region"},
    {401, "blobs_refused", kLookAtCredentials},
    {403, "blobs_refused", kLookAtCredentials},
    {408, "blobs_throttled", "it is asked again, more and more slowly"},
    {429, "blobs_throttled", "it is asked again, more and more slowly"},
    {503, "blobs_throttled", "it is asked again, more and more slowly"},
});
constexpr auto kPassing = std::to_array<std::string_view>({"blobs_throttled", "blobs_altered", "blobs_cut", "blobs_unreachable", "blobs_failed"});

std::string text_of(std::string_view raw) {
  struct Entity {
    std::string_view written;
    char meant;
  };
  constexpr auto kEntities = std::to_array<Entity>({{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&#34;", '"'}, {"&apos;", '\''}, {"&#39;", '\''}});
  std::string out;
  while (!raw.empty()) {
    auto const one = std::find_if(kEntities.begin(), kEntities.end(), [raw](Entity const& e) { return raw.starts_with(e.written); });
    out += one == kEntities.end() ? raw.front() : one->meant;
    raw.remove_prefix(one == kEntities.end() ? 1 : one->written.size());
  }
  return out;
}

}  // namespace

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t out = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
  return fault == std::errc{} && end == text.data() + text.size() ? std::optional(out) : std::nullopt;
}

std::optional<std::string> element(std::string_view xml, std::string_view name) {
  auto const opening = fmt::format("<{}>", name);
  auto const begin = xml.find(opening);
  if (begin == std::string_view::npos) return std::nullopt;
  auto const rest = xml.substr(begin + opening.size());
  auto const end = rest.find('<');
  if (end == std::string_view::npos || end > kElementMax || !rest.substr(end).starts_with(fmt::format("</{}>", name))) return std::nullopt;
  return text_of(rest.substr(0, end));
}

Error fault_of(HttpAnswer const& answer, std::string_view what) {
  auto const code = element(answer.body, "Code").value_or(std::string());
  auto const said = element(answer.body, "Message").value_or(std::string());
  auto const detail = fmt::format("the store answers {}{}{}{}{} to {}", answer.status, code.empty() ? "" : " ", code.substr(0, 80), said.empty() ? "" : ": ", said.substr(0, 200), what);
  if (auto const known = std::find_if(kKnown.begin(), kKnown.end(), [&](Known const& k) { return k.theirs == code; }); known != kKnown.end())
    return {Kind::unavailable, std::string(known->ours), detail, std::string(known->hint)};
  if (answer.status == 404) return {Kind::not_found, "no_object", detail};
  if (auto const known = std::find_if(kStatuses.begin(), kStatuses.end(), [&](KnownStatus const& k) { return k.status == answer.status; }); known != kStatuses.end())
    return {Kind::unavailable, std::string(known->ours), detail, std::string(known->hint)};
  bool const its_fault = answer.status >= 500 || is_late_error(answer);
  return {Kind::unavailable, its_fault ? "blobs_failed" : "blobs_odd", detail, its_fault ? "it is asked again" : "it is not the answer of an S3: look at the endpoint"};
}

bool is_late_error(HttpAnswer const& answer) { return answer.status == 200 && answer.body.find("<Error>") != std::string::npos; }

bool is_passing(Error const& error) { return std::find(kPassing.begin(), kPassing.end(), error.code) != kPassing.end(); }

Result<void> check_range(HttpAnswer const& answer, std::uint64_t offset, std::uint64_t length, std::uint64_t size, std::string_view what) {
  auto const altered = [&](std::string_view got) {
    return Error{Kind::unavailable, "blobs_altered", fmt::format("{}: expected {} bytes from {} of {}, the store answers {}", what, length, offset, size, got),
                 "the store does not give back what it was given: look at it, and run fleet-server check"};
  };
  bool const whole = offset == 0 && length == size;
  if (answer.status != 206 && !(answer.status == 200 && whole)) return altered(fmt::format("{} with all there is", answer.status));
  if (answer.status == 206) {
    auto const wanted = fmt::format("bytes {}-{}/{}", offset, offset + length - 1, size);
    if (answer.header("content-range") != wanted) return altered(fmt::format("Content-Range: {}", answer.header("content-range").substr(0, 80)));
  }
  if (auto const told = answer.header("content-length"); !told.empty() && number(told) != length) return altered(fmt::format("with {} bytes", told.substr(0, 20)));
  return {};
}

}  // namespace fleet::s3
