#include "server/telemetry/clickhouse/address.hpp"

#include "core/net/client.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::clickhouse {
namespace {

constexpr std::string_view kScheme = "clickhouse://";
constexpr std::string_view kSecure = "?secure=true";
constexpr std::size_t kTextMax = 1024;
constexpr std::size_t kNameMax = 64;

Error bad(std::string_view why) {
  return {Kind::bad_input, "bad_telemetry", fmt::format("the address of telemetry {}", why),
          "write clickhouse://[user@]host[:port]/database, with ?secure=true for https"};
}

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  });
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  if (text.size() > kTextMax || !text.starts_with(kScheme)) return bad("is no clickhouse://...");
  text.remove_prefix(kScheme.size());
  Address out;
  out.secure = text.ends_with(kSecure);
  if (out.secure) text.remove_suffix(kSecure.size());
  if (auto const at = text.find('@'); at != std::string_view::npos) {
    if (text.substr(0, at).find(':') != std::string_view::npos) return bad("holds a password: name a file by --telemetry-password-file");
    out.user = text.substr(0, at);
    if (!is_name(out.user)) return bad("names a user of other than letters, digits, _, - and .");
    text.remove_prefix(at + 1);
  }
  auto const slash = std::min(text.find('/'), text.size());
  auto const host = text.substr(0, slash);
  out.database = text.substr(std::min(slash + 1, text.size()));
  if (!is_name(out.database)) return bad("names no database, or one of other than letters, digits, _, - and .");
  auto const after_v6 = host.rfind(']') == std::string_view::npos ? 0 : host.rfind(']');
  bool const has_port = host.find(':', after_v6) != std::string_view::npos;
  auto const whole = fmt::format("{}://{}{}/", out.secure ? "https" : "http", host, has_port ? "" : out.secure ? ":8443" : ":8123");
  if (auto const url = net::Url::parse(whole); !url) return bad(fmt::format("has no usable host and port: {}", url.error().detail));
  out.url = whole;
  return out;
}

}  // namespace fleet::clickhouse
