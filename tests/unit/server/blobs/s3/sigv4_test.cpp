#include "server/blobs/s3/sigv4.hpp"

#include "core/crypto/hash.hpp"

#include <doctest/doctest.h>

namespace fleet::s3 {
namespace {

SysTime at(std::string_view text) { return parse_rfc3339(text).value(); }
std::string signature_in(std::string const& text) { return text.substr(text.rfind("Signature=") + 10); }

// "Examples: Signature Calculations in AWS Signature Version 4" and "Authenticating Requests: Using Query Parameters" of Amazon S3's API reference.
Credentials const kExample{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
Scope const kEast{"us-east-1"};
auto const kMay = "2013-05-24T00:00:00Z";
constexpr auto kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Request bucket_request(std::string method, std::string path, Pairs query = {}, std::string payload = kEmpty) {
  return {std::move(method), std::move(path), std::move(query), {{"host", "examplebucket.s3.amazonaws.com"}, {"x-amz-content-sha256", payload}, {"x-amz-date", "20130524T000000Z"}}, payload};
}

TEST_CASE("S3's published examples: headers") {
  auto range = bucket_request("GET", "/test.txt");
  range.headers.emplace_back("range", "bytes=0-9");
  CHECK(authorization(range, kExample, kEast, at(kMay)) ==
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

  auto put = bucket_request("PUT", "/test$file.text", {}, crypto::sha256("Welcome to Amazon S3.").hex());
  put.headers.emplace_back("date", "Fri, 24 May 2013 00:00:00 GMT");
  put.headers.emplace_back("x-amz-storage-class", "REDUCED_REDUNDANCY");
  CHECK(signature_in(authorization(put, kExample, kEast, at(kMay))) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");

  CHECK(signature_in(authorization(bucket_request("GET", "/", {{"lifecycle", ""}}), kExample, kEast, at(kMay))) ==
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  CHECK(signature_in(authorization(bucket_request("GET", "/", {{"prefix", "J"}, {"max-keys", "2"}}), kExample, kEast, at(kMay))) ==
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST_CASE("S3's published example: a signed URL") {
  Request const get{"GET", "/test.txt", {}, {{"host", "examplebucket.s3.amazonaws.com"}}, std::string(kUnsignedPayload)};
  auto const query = presigned_query(get, kExample, kEast, at(kMay), std::chrono::seconds{86'400});
  CHECK(query ==
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
        "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
  auto lent = kExample;
  lent.session_token = "a/b+c";
  CHECK(presigned_query(get, lent, kEast, at(kMay), std::chrono::seconds{60}).find("&X-Amz-Security-Token=a%2Fb%2Bc&") != std::string::npos);
}

TEST_CASE("aws-sig-v4-test-suite") {
  Credentials const who{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
  Scope const scope{"us-east-1", "service"};
  struct Case {
    std::string_view name, method, path;
    Pairs query, headers;
    std::string_view body, signature;
  };
  Case const cases[] = {
      {"get-vanilla", "GET", "/", {}, {}, "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-vanilla-query-order-key-case", "GET", "/", {{"Param2", "value2"}, {"Param1", "value1"}}, {}, "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-empty-query-key", "GET", "/", {{"Param1", "value1"}}, {}, "", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
      {"get-utf8", "GET", "/\u1234", {}, {}, "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-header-value-trim", "GET", "/", {}, {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}}, "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"get-header-value-order", "GET", "/", {}, {{"my-header1", "value4"}, {"my-header1", "value1"}, {"my-header1", "value3"}, {"my-header1", "value2"}}, "",
       "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
      {"post-vanilla", "POST", "/", {}, {}, "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"post-x-www-form-urlencoded", "POST", "/", {}, {{"content-type", "application/x-www-form-urlencoded"}}, "Param1=value1",
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
  };
  for (auto const& one : cases) {
    CAPTURE(one.name);
    Request request{std::string(one.method), std::string(one.path), one.query, one.headers, crypto::sha256(one.body).hex()};
    request.headers.emplace_back("host", "example.amazonaws.com");
    request.headers.emplace_back("x-amz-date", "20150830T123600Z");
    CHECK(signature_in(authorization(request, who, scope, at("2015-08-30T12:36:00Z"))) == one.signature);
  }
}

TEST_CASE("what is sent is what was signed") {
  CHECK(uri_encode("a b/\xc3\xbc~", false) == "a%20b/%C3%BC~");
  CHECK(uri_encode("a b/", true) == "a%20b%2F");
  CHECK(canonical_query({{"uploads", ""}}) == "uploads=");
  CHECK(canonical_query({{"b", "1"}, {"a", "x=y"}}) == "a=x%3Dy&b=1");
}

}  // namespace
}  // namespace fleet::s3
