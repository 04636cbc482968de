#include "core/net/client.hpp"
#include "core/net/response_head.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fleet;
using namespace fleet::net;

TEST_CASE("a URL splits into scheme, host, port and target") {
  struct Case {
    std::string_view text, host;
    std::uint16_t port;
    std::string_view target;
  };
  auto const cases = std::to_array<Case>({
      {"https://fleet.example", "fleet.example", 443, "/"},
      {"https://Fleet.Example:8443/a/b?c=d", "fleet.example", 8443, "/a/b?c=d"},
      {"http://127.0.0.1/x", "127.0.0.1", 80, "/x"},
      {"https://[::1]:8444/x", "::1", 8444, "/x"},
      {"https://h?q=1", "h", 443, "/?q=1"},
  });
  for (auto const& row : cases) {
    CAPTURE(row.text);
    auto const url = Url::parse(row.text);
    REQUIRE(url.has_value());
    CHECK(url->host == row.host);
    CHECK(url->port == row.port);
    CHECK(url->target == row.target);
  }
}

TEST_CASE("a URL that is ambiguous or no URL is refused") {
  for (std::string_view const text :
       {"", "fleet.example", "ftp://a/", "https://", "https://:1/", "https://a:0/", "https://a:70000/", "https://a:1x/", "https://user:pw@a/", "https://a/b c",
        "https://a/b#c", "https://[::1/", "https://[::1]x/", "https://a\r\nb/", "https://a/\x80", "https://a b/"}) {
    CAPTURE(text);
    auto const url = Url::parse(text);
    REQUIRE(!url);
    CHECK(url.error().kind == Kind::bad_input);
  }
}

TEST_CASE("credentials in a URL are not repeated in the error") {
  auto const url = Url::parse("https://user:secret@a/");
  REQUIRE(!url);
  CHECK(url.error().detail.find("secret") == std::string::npos);
}

TEST_CASE("percent-encoding goes both ways") {
  std::string const text = "a b/ü%+&=~._-\x01";
  CHECK(percent_decode(percent_encode(text)).value() == text);
  CHECK(percent_encode("a/b c") == "a%2Fb%20c");
  CHECK(percent_decode("a+b").value() == "a+b");
  CHECK(percent_decode("a+b", true).value() == "a b");
  for (std::string_view const bad : {"%", "%1", "%g0", "%0g", "a%00b"}) CHECK(!percent_decode(bad));
}

TEST_CASE("a query decodes in order, keeps repeats and empty values") {
  auto const query = parse_query("a=1&b=x%20y&a=2&flag&&c=");
  REQUIRE(query.has_value());
  std::vector<std::pair<std::string, std::string>> const expected{{"a", "1"}, {"b", "x y"}, {"a", "2"}, {"flag", ""}, {"c", ""}};
  CHECK(*query == expected);
  CHECK(!parse_query("a=%zz"));
}

TEST_CASE("headers are found without regard to case, the first wins") {
  Headers const headers{{"ETag", "1"}, {"etag", "2"}};
  CHECK(find_header(headers, "eTaG") == "1");
  CHECK(find_header(headers, "missing").empty());
}

TEST_CASE("the head of an answer carries a length where a body may be") {
  struct Case {
    int status;
    bool has_length;
  };
  for (auto const& row : std::to_array<Case>({{200, true}, {404, true}, {204, false}, {304, false}})) {
    std::string out;
    REQUIRE(render_head({row.status, {}, {}, false}, 0, false, "Date: x\r\n", out).has_value());
    CHECK((out.find("Content-Length: 0\r\n") != std::string::npos) == row.has_length);
    CHECK(out.ends_with("\r\n\r\n"));
  }
}

TEST_CASE("a header that would break the framing of an answer is not sent") {
  for (auto const& header : std::to_array<Header>({{"A", "b\r\nC: d"},
                                                   {"A", "b\nc"},
                                                   {"A\r\nB", "c"},
                                                   {"A B", "c"},
                                                   {"", "c"},
                                                   {"A", std::string("\0", 1)},
                                                   {"content-length", "5"},
                                                   {"Transfer-Encoding", "chunked"},
                                                   {"Connection", "close"},
                                                   {"Date", "now"}})) {
    CAPTURE(header.name);
    std::string out;
    CHECK(!render_head({200, {header}, {}, false}, 0, false, "", out));
  }
}

TEST_CASE("the date line is the fixed form of HTTP") {
  CHECK(make_date_line(from_unix_ms(784111777000)) == "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  CHECK(make_date_line(from_unix_ms(1709210096789)) == "Date: Thu, 29 Feb 2024 12:34:56 GMT\r\n");
}
