#include "core/net/ascii.hpp"
#include "core/net/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fleet::net {
namespace {

Error bad_url(std::string_view text, std::string_view why) {
  return {Kind::bad_input, "bad_url", fmt::format("URL '{}': {}", text.substr(0, 200), why), "expected https://HOST[:PORT][/PATH]"};
}

/// Splits `host[:port]` or `[v6][:port]` into `url`. An empty `text` of port stays 0.
Result<void> split_authority(std::string_view whole, std::string_view authority, Url& url) {
  std::string_view port;
  if (authority.starts_with('[')) {
    auto const close = authority.find(']');
    if (close == std::string_view::npos) return bad_url(whole, "'[' without ']'");
    url.host = std::string{authority.substr(1, close - 1)};
    port = authority.substr(close + 1);
  } else {
    auto const colon = std::min(authority.find(':'), authority.size());
    url.host = std::string{authority.substr(0, colon)};
    port = authority.substr(colon);
  }
  if (url.host.empty()) return bad_url(whole, "no host");
  for (char& c : url.host) {
    if (!is_alpha(c) && !is_digit(c) && std::string_view{"-._:"}.find(c) == std::string_view::npos) return bad_url(whole, "a character that no host name has");
    c = to_lower(c);
  }
  if (port.empty()) return {};
  auto const* const end = port.data() + port.size();
  auto const [stop, error] = std::from_chars(port.data() + 1, end, url.port);
  if (port.front() != ':' || error != std::errc{} || stop != end || url.port == 0) return bad_url(whole, "the port is not a number from 1 to 65535");
  return {};
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  Url url;
  auto const colon = text.find("://");
  if (colon == std::string_view::npos) return bad_url(text, "no scheme");
  url.scheme = std::string{text.substr(0, colon)};
  if (url.scheme != "https" && url.scheme != "http") return bad_url(text, "the scheme is neither https nor http");
  auto const rest = text.substr(colon + 3);
  auto const end = std::min(rest.find_first_of("/?#"), rest.size());
  auto const authority = rest.substr(0, end);
  if (authority.find('@') != std::string_view::npos) return bad_url(text.substr(0, colon), "credentials do not belong into a URL");
  FLEET_CHECK(split_authority(text, authority, url));
  if (url.port == 0) url.port = url.scheme == "https" ? 443 : 80;
  auto const target = rest.substr(end);
  if (!std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7f && c != '#'; }))
    return bad_url(text, "a fragment, space or byte that must be percent-encoded");
  url.target = target.starts_with('/') ? std::string{target} : "/" + std::string{target};
  return url;
}

}  // namespace fleet::net
