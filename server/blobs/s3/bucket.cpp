#include "server/blobs/s3/bucket.hpp"

#include "core/crypto/hash.hpp"
#include "server/blobs/s3/answers.hpp"

#include <fmt/format.h>

#include <charconv>

namespace fleet::s3 {
namespace {

constexpr std::uint64_t kPartsMax = 10'000;
constexpr std::uint64_t kMiB = 1U << 20;

std::uint64_t part_bytes(std::uint64_t size) { return std::max(kPartBytes, (size / kPartsMax + kMiB) / kMiB * kMiB); }

Millis told_wait(HttpAnswer const& answer) {
  auto const text = answer.header("retry-after");
  int seconds = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return fault == std::errc{} && end == text.data() + text.size() && seconds > 0 ? Millis{std::chrono::seconds{std::min(seconds, 3'600)}} : Millis{0};
}

bool is_success(HttpAnswer const& answer) { return answer.status >= 200 && answer.status < 300 && !is_late_error(answer); }

}  // namespace

std::string Bucket::what(Ask const& ask) const { return fmt::format("{} {}{}", ask.method, place_.bucket, place_.in_path ? place_.path_of(ask.key).substr(place_.bucket.size() + 1) : place_.path_of(ask.key)); }

Result<HttpAnswer> Bucket::once(Ask const& ask, Sink const* sink) const {
  FLEET_TRY(auto const who, means_.credentials());
  auto const now = means_.clock.wall();
  auto const hash = crypto::sha256(ask.body).hex();
  Request to_sign{std::string(ask.method), place_.path_of(ask.key), ask.query, ask.headers, hash};
  to_sign.headers.insert(to_sign.headers.end(), {{"host", place_.host}, {"x-amz-content-sha256", hash}, {"x-amz-date", amz_date(now)}});
  if (!who.session_token.empty()) to_sign.headers.emplace_back("x-amz-security-token", who.session_token);
  auto const query = canonical_query(ask.query);
  HttpRequest request{std::string(ask.method), fmt::format("{}://{}{}{}{}", place_.scheme, place_.host, uri_encode(to_sign.path, false), query.empty() ? "" : "?", query), to_sign.headers, ask.body,
                      ask.answer_max};
  request.headers.emplace_back("authorization", authorization(to_sign, who, {place_.region}, now));
  return means_.transport.send(request, sink);
}

Result<HttpAnswer> Bucket::patiently(Ask const& ask, Sink const* sink, std::function<void()> const& anew) {
  for (int attempt = 1;; ++attempt) {
    auto const answer = once(ask, sink);
    if (answer && is_success(*answer)) {
      means_.watch.ended({}, means_.clock.wall());
      means_.watch.carried(answer->body.size(), ask.body.size());
      return answer;
    }
    auto const error = answer ? fault_of(*answer, what(ask)) : answer.error();
    bool const again = is_passing(error) && attempt < means_.patience.attempts;
    bool const absent = error.kind == Kind::not_found;
    if (!absent) means_.watch.stumbled(error, again);
    if (again && means_.pause(means_.patience.wait(attempt, means_.random.uniform(), answer ? told_wait(*answer) : Millis{0}))) {
      if (anew) anew();
      continue;
    }
    means_.watch.ended(absent ? std::nullopt : std::optional(error), means_.clock.wall());
    return error;
  }
}

Result<void> Bucket::put(std::string_view key, std::string_view bytes) {
  FLEET_CHECK(patiently({.method = "PUT", .key = key, .headers = {{"content-type", "application/octet-stream"}}, .body = bytes}));
  return {};
}

Result<std::string> Bucket::begin_parts(std::string_view key) {
  FLEET_TRY(auto const begun, patiently({.method = "POST", .key = key, .query = {{"uploads", ""}}}));
  auto const upload = element(begun.body, "UploadId");
  if (!upload || upload->empty()) return Error{Kind::unavailable, "blobs_odd", fmt::format("the store begins an upload of {} and names none", key), "it is not the answer of an S3: look at the endpoint"};
  return *upload;
}

Result<void> Bucket::put_parts(std::string_view key, File& file, std::uint64_t size, std::string const& upload) {
  std::string list = "<CompleteMultipartUpload>", part;
  for (std::uint64_t offset = 0, number = 1; offset < size; offset += part.size(), ++number) {
    part.resize(static_cast<std::size_t>(std::min(part_bytes(size), size - offset)));
    for (std::size_t have = 0; have < part.size();) {
      FLEET_TRY(auto const n, file.read_at(offset + have, {reinterpret_cast<std::uint8_t*>(part.data()) + have, part.size() - have}));
      if (n == 0) return Error{Kind::io, "file_cut", fmt::format("a file has {} bytes, {} were expected", offset + have, size)};
      have += n;
    }
    FLEET_TRY(auto const done, patiently({.method = "PUT", .key = key, .query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}}, .body = part}));
    // Quotes and all, as it came: it is theirs.
    std::string etag;
    for (char const c : done.header("etag")) etag += c == '"' ? std::string("&quot;") : c == '<' || c == '&' ? std::string() : std::string(1, c);
    list += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", number, etag);
  }
  list += "</CompleteMultipartUpload>";
  FLEET_CHECK(patiently({.method = "POST", .key = key, .query = {{"uploadId", upload}}, .body = list}));
  return {};
}

Result<void> Bucket::put_file(std::string_view key, Fs& fs, std::string const& path, std::uint64_t size) {
  FLEET_TRY(auto const info, fs.info(path));
  if (info.size != size) return Error{Kind::io, "file_cut", fmt::format("{} has {} bytes, {} were expected", path, info.size, size)};
  if (size <= kPartBytes) {
    FLEET_TRY(auto const bytes, fs.read(path, kPartBytes));
    return put(key, bytes);
  }
  FLEET_TRY(auto const file, fs.open(path, Fs::Mode::read));
  FLEET_TRY(auto const upload, begin_parts(key));
  auto const done = put_parts(key, *file, size, upload);
  // Parts that belong to nothing are paid for. Where even that fails, a rule of the bucket ends them (docs/operators.md).
  if (!done) [[maybe_unused]] auto const ended = once({.method = "DELETE", .key = key, .query = {{"uploadId", upload}}}, nullptr);
  return done;
}

Result<std::string> Bucket::get(std::string_view key, std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  std::string out;
  if (length == 0) return out;
  out.reserve(static_cast<std::size_t>(length));
  Ask const ask{.method = "GET", .key = key, .headers = {{"range", fmt::format("bytes={}-{}", offset, offset + length - 1)}}};
  Sink const sink{[&](HttpAnswer const& head) { return check_range(head, offset, length, size, what(ask)); },
                  [&](BytesView piece) -> Result<void> {
                    if (piece.size() > length - out.size()) return Error{Kind::unavailable, "blobs_altered", fmt::format("{}: more than the {} bytes that were asked for", what(ask), length)};
                    out += as_text(piece);
                    return {};
                  }};
  FLEET_CHECK(patiently(ask, &sink, [&] { out.clear(); }));
  if (out.size() != length) return Error{Kind::unavailable, "blobs_altered", fmt::format("{}: {} bytes of {}", what(ask), out.size(), length)};
  means_.watch.carried(out.size(), 0);
  return out;
}

Result<std::string> Bucket::get_small(std::string_view key, std::uint64_t limit) {
  FLEET_TRY(auto answer, patiently({.method = "GET", .key = key, .answer_max = limit}));
  return std::move(answer.body);
}

Result<std::uint64_t> Bucket::size(std::string_view key) {
  FLEET_TRY(auto const head, patiently({.method = "HEAD", .key = key}));
  auto const size = number(head.header("content-length"));
  if (!size) return Error{Kind::unavailable, "blobs_odd", fmt::format("the store tells no length of {}", key), "it is not the answer of an S3: look at the endpoint"};
  return *size;
}

Result<void> Bucket::stream(std::string_view key, std::uint64_t size, std::function<Result<void>(BytesView)> const& piece) {
  std::uint64_t have = 0;
  std::optional<Error> theirs;  ///< of whoever takes the bytes: nothing to be tried again
  for (int broken = 0; have < size;) {
    auto const begun = have;
    Ask const ask{.method = "GET", .key = key, .headers = {{"range", fmt::format("bytes={}-{}", have, size - 1)}}};
    Sink const sink{[&](HttpAnswer const& head) { return check_range(head, begun, size - begun, size, what(ask)); },
                    [&](BytesView bytes) -> Result<void> {
                      if (bytes.size() > size - have) return Error{Kind::unavailable, "blobs_altered", fmt::format("{}: more than its {} bytes", what(ask), size)};
                      if (auto const taken = piece(bytes); !taken) {
                        theirs = taken.error();
                        return Error{Kind::internal, "taker_failed", {}};
                      }
                      have += bytes.size();
                      return {};
                    }};
    auto const answer = once(ask, &sink);
    if (theirs) return *theirs;
    if (have > begun) broken = 0;
    means_.watch.carried(have - begun, 0);
    if (answer && is_success(*answer) && have == size) break;
    auto const error = !answer                 ? answer.error()
                       : !is_success(*answer) ? fault_of(*answer, what(ask))
                                              : Error{Kind::unavailable, "blobs_cut", fmt::format("{}: {} bytes of {}", what(ask), have, size)};
    bool const absent = error.kind == Kind::not_found, again = is_passing(error) && ++broken < means_.patience.attempts;
    if (!absent) means_.watch.stumbled(error, again);
    if (again && means_.pause(means_.patience.wait(broken, means_.random.uniform(), answer ? told_wait(*answer) : Millis{0}))) continue;
    means_.watch.ended(absent ? std::nullopt : std::optional(error), means_.clock.wall());
    return error;
  }
  means_.watch.ended({}, means_.clock.wall());
  return {};
}

Result<void> Bucket::remove(std::string_view key) {
  auto const gone = patiently({.method = "DELETE", .key = key});
  return gone || gone.error().code == "no_object" ? Result<void>() : gone.error();
}

Result<std::string> Bucket::signed_url(std::string_view key, std::chrono::seconds lifetime) const {
  FLEET_TRY(auto const who, means_.credentials());
  Request const get{"GET", place_.path_of(key), {}, {{"host", place_.host}}, std::string(kUnsignedPayload)};
  return fmt::format("{}://{}{}?{}", place_.scheme, place_.host, uri_encode(get.path, false), presigned_query(get, who, {place_.region}, means_.clock.wall(), lifetime));
}

}  // namespace fleet::s3
