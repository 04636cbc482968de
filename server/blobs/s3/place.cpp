#include "server/blobs/s3/place.hpp"

#include "core/net/http.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::s3 {
namespace {

constexpr std::size_t kUrlMax = 2048;
constexpr std::uint64_t kCredentialsMax = 16 * 1024;
constexpr std::string_view kScheme = "s3://";

Error bad_blobs(std::string detail) {
  return {Kind::bad_input, "bad_blobs", std::move(detail), "expected s3://BUCKET[/PREFIX][?endpoint=https://HOST[:PORT]&region=NAME&addressing=path|host&ca=FILE]"};
}

bool consists_of(std::string_view text, std::string_view more) {
  return std::all_of(text.begin(), text.end(), [more](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || more.find(c) != std::string_view::npos; });
}

/// https://HOST[:PORT] into scheme and host.
Result<void> read_endpoint(std::string_view text, Place& out) {
  while (text.ends_with('/')) text.remove_suffix(1);
  auto const at = text.find("://");
  out.scheme = std::string(text.substr(0, at == std::string_view::npos ? 0 : at));
  out.host = at == std::string_view::npos ? std::string() : std::string(text.substr(at + 3));
  // A name and a password before an @ are no host either.
  if ((out.scheme != "https" && out.scheme != "http") || out.host.empty() || !consists_of(out.host, ".-_:[]")) return bad_blobs("endpoint: expected http(s)://HOST[:PORT]");
  return {};
}

Result<void> read_parameters(std::string_view query, Place& out) {
  FLEET_TRY(auto const pairs, net::parse_query(query));
  for (auto const& [name, value] : pairs) {
    if (name == "endpoint") {
      FLEET_CHECK(read_endpoint(value, out));
    } else if (name == "region" && !value.empty() && consists_of(value, "-")) {
      out.region = value;
    } else if (name == "ca" && !value.empty()) {
      out.ca_file = value;
    } else if (name == "addressing" && (value == "path" || value == "host")) {
      out.in_path = value == "path";
    } else {
      return bad_blobs(fmt::format("'{}' is not known, or its value does not fit", name.substr(0, 40)));
    }
  }
  return {};
}

std::string_view trimmed(std::string_view text) {
  auto const first = text.find_first_not_of(" \t\r");
  return first == std::string_view::npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

Result<Place> Place::parse(std::string_view url) {
  if (!url.starts_with(kScheme)) return bad_blobs("it does not begin with s3://");
  if (url.size() > kUrlMax) return bad_blobs("it is longer than 2,048 characters");
  url.remove_prefix(kScheme.size());
  auto const mark = url.find('?');
  auto const where = url.substr(0, mark);
  auto const slash = where.find('/');
  Place out;
  out.bucket = std::string(where.substr(0, slash));
  out.prefix = slash == std::string_view::npos ? std::string() : std::string(where.substr(slash + 1));
  while (out.prefix.ends_with('/')) out.prefix.pop_back();
  // docs.aws.amazon.com, "Bucket naming rules"; older buckets have capitals and _
  if (out.bucket.size() < 3 || out.bucket.size() > 63 || !consists_of(out.bucket, ".-_")) return bad_blobs("the bucket's name: expected 3 to 63 letters, digits, dots and hyphens");
  if (!consists_of(out.prefix, ".-_/") || (!out.prefix.empty() && !is_safe_relative_path(out.prefix))) return bad_blobs("the prefix: expected letters, digits, . - _ and /");
  bool const told_how = mark != std::string_view::npos && url.substr(mark).find("addressing=") != std::string_view::npos;
  if (mark != std::string_view::npos) FLEET_CHECK(read_parameters(url.substr(mark + 1), out));
  bool const amazon = out.host.empty();
  if (amazon) {
    out.scheme = "https";
    out.host = fmt::format("s3.{}.amazonaws.com", out.region);
    if (!told_how) out.in_path = out.bucket.find('.') != std::string::npos;  // whose certificate has one name below it alone
  }
  if (!out.in_path) out.host = out.bucket + "." + out.host;
  return out;
}

std::string Place::path_of(std::string_view key) const { return fmt::format("{}/{}{}{}", in_path ? "/" + bucket : "", prefix, prefix.empty() ? "" : "/", key); }

Result<Credentials> parse_credentials(std::string_view text) {
  Credentials out;
  struct Known {
    std::string_view name;
    std::string& value;
  };
  std::array<Known, 3> const known{Known{"aws_access_key_id", out.key_id}, {"aws_secret_access_key", out.secret}, {"aws_session_token", out.session_token}};
  for (std::size_t number = 1; !text.empty(); ++number) {
    auto const end = std::min(text.find('\n'), text.size());
    auto const line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#' || line.front() == ';' || line.front() == '[') continue;
    auto const equals = line.find('=');
    auto const name = trimmed(line.substr(0, equals));
    auto const one = std::find_if(known.begin(), known.end(), [&](Known const& k) { return k.name == name; });
    if (equals == std::string_view::npos || one == known.end())
      return Error{Kind::bad_input, "bad_credentials", fmt::format("line {}: expected aws_access_key_id, aws_secret_access_key or aws_session_token, and = with a value", number)};
    one->value = std::string(trimmed(line.substr(equals + 1)));
  }
  if (out.key_id.empty() || out.secret.empty()) return Error{Kind::bad_input, "bad_credentials", "aws_access_key_id or aws_secret_access_key is missing"};
  return out;
}

Result<Credentials> find_credentials(Fs& fs, std::string const& file, Environment const& environment) {
  if (!file.empty()) {
    FLEET_TRY(auto const text, fs.read(file, kCredentialsMax));
    auto found = parse_credentials(text);
    if (!found) return Error{found.error().kind, found.error().code, file + ": " + found.error().detail};
    return found;
  }
  Credentials out{environment("AWS_ACCESS_KEY_ID").value_or(""), environment("AWS_SECRET_ACCESS_KEY").value_or(""), environment("AWS_SESSION_TOKEN").value_or("")};
  if (out.key_id.empty() || out.secret.empty())
    return Error{Kind::bad_input, "no_credentials", "the bucket takes credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set", "set them, or name a file by --blobs-credentials"};
  return out;
}

}  // namespace fleet::s3
