#include "server/blobs/s3/bucket.hpp"

#include "core/crypto/hash.hpp"
#include "server/blobs/s3/answers.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <deque>

namespace fleet::s3 {
namespace {

struct Seen {
  std::string method, url, body;
  Pairs headers;
};
/// Answers in turn what a test told it; a body goes to the sink as far as it goes, then perhaps an error.
class Scripted final : public Transport {
public:
  struct Turn {
    HttpAnswer answer;
    std::optional<Error> error = {};
  };
  std::deque<Turn> turns;
  std::vector<Seen> seen;

  Result<HttpAnswer> send(HttpRequest const& request, Sink const* sink) override {
    seen.push_back({request.method, request.url, std::string(request.body), request.headers});
    REQUIRE_FALSE(turns.empty());
    auto turn = std::move(turns.front());
    turns.pop_front();
    if (sink != nullptr && turn.answer.status / 100 == 2) {
      FLEET_CHECK(sink->head(turn.answer));
      FLEET_CHECK(sink->piece(as_bytes(std::exchange(turn.answer.body, {}))));
    }
    if (turn.error) return *turn.error;
    return std::move(turn.answer);
  }
  void stop() override {}
};

struct Bench {
  Scripted transport;
  FakeClock clock{parse_rfc3339("2013-05-24T00:00:00Z").value()};
  SeededRandom random{7};
  Watch watch;
  std::vector<Millis> waits;
  Place place = Place::parse("s3://bucket/fleet?endpoint=http://127.0.0.1:9000").value();
  Bucket bucket{place,
                {transport, clock, random, watch, [] { return Credentials{"id", "secret"}; },
                 [this](Millis wait) {
                   waits.push_back(wait);
                   clock.advance(wait);
                   return true;
                 }}};
  void answer(int status, std::string body = {}, Pairs headers = {}) { transport.turns.push_back({{status, std::move(headers), std::move(body)}}); }
  void fail(Error error, HttpAnswer before = {}) { transport.turns.push_back({std::move(before), std::move(error)}); }
};
std::string error_xml(std::string_view code) { return fmt::format("<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>no &amp; no</Message></Error>", code); }
Error const kCut{Kind::unavailable, "blobs_cut", "cut"};

TEST_CASE("where a bucket is") {
  auto const own = Place::parse("s3://bucket/a/b/?endpoint=https://minio.plant:9000/&region=eu-1&ca=/etc/ca.pem").value();
  CHECK(own.host == "minio.plant:9000");
  CHECK(own.scheme == "https");
  CHECK(own.region == "eu-1");
  CHECK(own.ca_file == "/etc/ca.pem");
  CHECK(own.path_of("x/y") == "/bucket/a/b/x/y");
  auto const amazon = Place::parse("s3://bucket?region=eu-central-1").value();
  CHECK(amazon.host == "bucket.s3.eu-central-1.amazonaws.com");
  CHECK(amazon.path_of("x") == "/x");
  CHECK(Place::parse("s3://dotted.bucket/p").value().path_of("x") == "/dotted.bucket/p/x");
  CHECK(Place::parse("s3://bucket?endpoint=http://h:1&addressing=host").value().host == "bucket.h:1");
  for (auto const* const bad : {"http://bucket", "s3://", "s3://ab", "s3://bucket/../x", "s3://bucket/a//b", "s3://bucket/a b", "s3://key:secret@bucket", "s3://bucket?endpoint=ftp://x",
                                "s3://bucket?endpoint=https://key:secret@host", "s3://bucket?secret=xyz", "s3://bucket?addressing=odd", "s3://bucket?region="}) {
    CAPTURE(bad);
    auto const refused = Place::parse(bad);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == "bad_blobs");
    CHECK_MESSAGE((refused.error().detail + refused.error().hint).find("xyz") == std::string::npos, "no secret is told again");
    CHECK((refused.error().detail + refused.error().hint).find(":secret") == std::string::npos);
  }
}

TEST_CASE("credentials come from a file as AWS's tools write it, or from the environment") {
  auto const found = parse_credentials("# ours\n[default]\naws_access_key_id = id\r\naws_secret_access_key=se=cret\n\naws_session_token=t\n").value();
  CHECK(found.key_id == "id");
  CHECK(found.secret == "se=cret");
  CHECK(found.session_token == "t");
  auto const odd = parse_credentials("aws_access_key_id=id\nverysecret\n");
  REQUIRE_FALSE(odd.has_value());
  CHECK(odd.error().detail.find("line 2") != std::string::npos);
  CHECK(odd.error().detail.find("verysecret") == std::string::npos);
  CHECK(parse_credentials("aws_access_key_id=id\n").error().code == "bad_credentials");
  auto const env = [](std::string const& name) { return name == "AWS_SESSION_TOKEN" ? std::nullopt : std::optional("v" + name); };
  CHECK(find_credentials(system_fs(), "", env).value().key_id == "vAWS_ACCESS_KEY_ID");
  CHECK(find_credentials(system_fs(), "", [](std::string const&) { return std::optional<std::string>(); }).error().code == "no_credentials");
}

TEST_CASE("what is sent is signed, with the hash of its bytes") {
  Bench bench;
  bench.answer(200);
  REQUIRE(bench.bucket.put("blobs/a", "bytes").has_value());
  auto const& seen = bench.transport.seen.at(0);
  CHECK(seen.method == "PUT");
  CHECK(seen.url == "http://127.0.0.1:9000/bucket/fleet/blobs/a");
  CHECK(seen.body == "bytes");
  auto const has = [&](std::string_view name, std::string_view value) {
    return std::any_of(seen.headers.begin(), seen.headers.end(), [&](auto const& one) { return one.first == name && one.second.find(value) != std::string::npos; });
  };
  CHECK(has("x-amz-content-sha256", crypto::sha256("bytes").hex()));
  CHECK(has("host", "127.0.0.1:9000"));
  CHECK(has("authorization", "Credential=id/20130524/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, Signature="));
}

TEST_CASE("what fails for a moment is tried again, ever more slowly and never together") {
  Bench bench;
  bench.answer(503, error_xml("SlowDown"));
  bench.answer(500, error_xml("InternalError"));
  bench.fail({Kind::unavailable, "blobs_unreachable", "refused"});
  bench.answer(429, "", {{"retry-after", "3"}});
  bench.answer(200);
  REQUIRE(bench.bucket.put("k", "v").has_value());
  REQUIRE(bench.waits.size() == 4);
  for (std::size_t i = 0; i < 3; ++i) CHECK(bench.waits[i] < Millis{100 * (1 << i)});
  CHECK(bench.waits[3] == Millis{3'000});
  CHECK(bench.watch.figures().again == 4);
  CHECK(bench.watch.figures().throttled == 2);
  CHECK_FALSE(bench.watch.trouble().has_value());

  for (int i = 0; i < 6; ++i) bench.answer(503, error_xml("SlowDown"));
  auto const given_up = bench.bucket.put("k", "v");
  REQUIRE_FALSE(given_up.has_value());
  CHECK(given_up.error().code == "blobs_throttled");
  CHECK(given_up.error().kind == Kind::unavailable);
  CHECK(bench.watch.trouble().value().error.code == "blobs_throttled");
  bench.answer(204);
  REQUIRE(bench.bucket.remove("k").has_value());
  CHECK_FALSE(bench.watch.trouble().has_value());
}

TEST_CASE("what will not change is told at once, in words that help") {
  struct Case {
    int status;
    std::string_view theirs, ours;
  };
  for (auto const& [status, theirs, ours] : {Case{403, "InvalidAccessKeyId", "blobs_refused"}, {403, "SignatureDoesNotMatch", "blobs_refused"}, {403, "", "blobs_refused"},
                                             {403, "RequestTimeTooSkewed", "blobs_clock"}, {400, "ExpiredToken", "blobs_expired"}, {404, "NoSuchBucket", "blobs_no_bucket"},
                                             {400, "AuthorizationHeaderMalformed", "blobs_wrong_region"}, {301, "PermanentRedirect", "blobs_wrong_region"}, {418, "", "blobs_odd"},
                                             {404, "NoSuchKey", "no_object"}}) {
    Bench bench;
    bench.answer(status, theirs.empty() ? "" : error_xml(theirs));
    auto const refused = bench.bucket.get_small("k", 10);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == ours);
    CHECK(bench.waits.empty());
    CHECK(bench.watch.trouble().has_value() == (ours != "no_object"));
  }
}

TEST_CASE("a store that lies about lengths is not believed") {
  auto const range = [](std::string_view text) { return Pairs{{"content-range", std::string(text)}}; };
  {
    Bench bench;
    bench.answer(206, "cdef", range("bytes 2-5/10"));
    CHECK(bench.bucket.get("k", 2, 4, 10).value() == "cdef");
  }
  for (auto const& [status, body, headers] : {std::tuple{206, "cdef", range("bytes 2-5/11")}, {206, "cdef", range("bytes 0-3/10")}, {206, "cdefg", range("bytes 2-5/10")}, {200, "abcdefghij", Pairs{}},
                                              {206, "cdef", Pairs{{"content-range", "bytes 2-5/10"}, {"content-length", "3"}}}}) {
    Bench bench;
    for (int i = 0; i < 6; ++i) bench.answer(status, body, headers);
    auto const got = bench.bucket.get("k", 2, 4, 10);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().code == "blobs_altered");
    CHECK(bench.watch.figures().altered == 6);
  }
  Bench bench;
  bench.fail(kCut, {206, range("bytes 2-5/10"), "cd"});
  bench.answer(206, "cdef", range("bytes 2-5/10"));
  CHECK_MESSAGE(bench.bucket.get("k", 2, 4, 10).value() == "cdef", "what was cut is asked again, and not kept");
}

TEST_CASE("a stream that breaks is taken up where it broke") {
  Bench bench;
  bench.fail(kCut, {206, {{"content-range", "bytes 0-9/10"}}, "abc"});
  bench.answer(503, error_xml("SlowDown"));
  bench.fail(kCut, {206, {{"content-range", "bytes 3-9/10"}}, "defg"});
  bench.answer(206, "hij", {{"content-range", "bytes 7-9/10"}});
  std::string got;
  REQUIRE(bench.bucket
              .stream("k", 10,
                      [&](BytesView piece) -> Result<void> {
                        got += as_text(piece);
                        return {};
                      })
              .has_value());
  CHECK(got == "abcdefghij");
  CHECK(bench.waits.size() == 3);

  bench.answer(200, "abcdefghij");
  auto const ours = bench.bucket.stream("k", 10, [](BytesView) -> Result<void> { return Error{Kind::io, "disk_full", "x"}; });
  CHECK_MESSAGE(ours.error().code == "disk_full", "what we cannot take is no fault of the store");
}

TEST_CASE("large files go in parts, and what fails leaves none") {
  auto& fs = system_fs();
  auto const path = fmt::format("/tmp/fleet_bucket_test_{}", ::getpid());
  std::string content(kPartBytes + 5, 'x');
  REQUIRE(fs.replace(path, content).has_value());
  Bench bench;
  bench.answer(200, "<InitiateMultipartUploadResult><UploadId>u&amp;1</UploadId></InitiateMultipartUploadResult>");
  bench.answer(200, "", {{"etag", "\"e1\""}});
  bench.answer(500);
  bench.answer(200, "", {{"etag", "\"e2\""}});
  bench.answer(200, error_xml("InternalError"));  // late
  bench.answer(200, "<CompleteMultipartUploadResult/>");
  REQUIRE(bench.bucket.put_file("k", fs, path, content.size()).has_value());
  auto const& seen = bench.transport.seen;
  REQUIRE(seen.size() == 6);
  CHECK(seen[0].url.ends_with("/k?uploads="));
  CHECK(seen[1].url.ends_with("?partNumber=1&uploadId=u%261"));
  CHECK(seen[1].body.size() == kPartBytes);
  CHECK(seen[3].body == "xxxxx");
  CHECK(seen[5].body.find("<PartNumber>2</PartNumber><ETag>&quot;e2&quot;</ETag>") != std::string::npos);

  Bench refused;
  refused.answer(200, "<UploadId>u</UploadId>");
  refused.answer(403, error_xml("AccessDenied"));
  refused.answer(204);
  CHECK(refused.bucket.put_file("k", fs, path, content.size()).error().code == "blobs_refused");
  CHECK(refused.transport.seen.back().method == "DELETE");
  CHECK_MESSAGE(refused.bucket.put_file("k", fs, path, 3).error().code == "file_cut", "what is there is not what was to be sent");
  REQUIRE(fs.remove(path).has_value());
}

TEST_CASE("a signed URL tells no secret") {
  Bench bench;
  auto const url = bench.bucket.signed_url("k", std::chrono::seconds{60}).value();
  CHECK(url.starts_with("http://127.0.0.1:9000/bucket/fleet/k?X-Amz-Algorithm="));
  CHECK(url.find("secret") == std::string::npos);
}

}  // namespace
}  // namespace fleet::s3
