#include "core/net/gate.hpp"

#include "core/net/ascii.hpp"

#include <algorithm>

namespace fleet::net {
namespace {

constexpr std::size_t kLengthDigitsMax = 18;  // fits 63 bits
constexpr auto kTargetClass = make_class([](char c) { return c > ' ' && c < 0x7f && c != '#'; });
constexpr auto kHostClass =
    make_class([](char c) { return is_alpha(c) || is_digit(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']'; });
constexpr auto kFieldClass = make_class(is_field_text);

using Class = std::array<bool, 256>;
bool all_in(Class const& table, std::string_view text) {
  bool good = true;
  for (char const c : text) good &= table[static_cast<unsigned char>(c)];
  return good;
}

Error refused(std::string_view detail) { return {Kind::bad_input, "bad_request", std::string{detail}, "send HTTP/1.1 as RFC 9112 has it"}; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// What the header lines say about framing.
struct Framing {
  int hosts = 0;
  int lengths = 0;
  int codings = 0;
  bool http11 = false;
  HeadFacts facts;
};

constexpr auto kSchemes = std::to_array<std::string_view>({"https://", "http://"});

/// Scheme and authority of a target in absolute-form, which a server accepts (RFC 9112, 3.2.2); empty in origin-form. Whatever it names, we answer:
/// neither it nor Host chooses among hosts here.
std::string_view authority_form(std::string_view target) {
  for (auto const scheme : kSchemes)
    if (target.size() > scheme.size() && equal_ignoring_case(target.substr(0, scheme.size()), scheme))
      return target.substr(0, std::min(target.find_first_of("/?", scheme.size()), target.size()));
  return {};
}

bool is_target(std::string_view method, std::string_view target) {
  if (!all_in(kTargetClass, target)) return false;
  if (target.starts_with('/') || (target == "*" && method == "OPTIONS")) return true;
  auto const authority = authority_form(target);
  auto const host = authority.substr(std::min(authority.find("//"), authority.size()));
  return host.size() > 2 && all_in(kHostClass, host.substr(2));
}

Result<bool> is_http11(std::string_view line) {
  auto const first = line.find(' ');
  auto const last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) return refused("the request line is not: method, target, version");
  if (!is_header_name(line.substr(0, first))) return refused("the method is not a token");
  auto const target = line.substr(first + 1, last - first - 1);
  if (!is_target(line.substr(0, first), target)) return refused("the target is neither a path of visible ASCII characters nor an http(s) address");
  auto const version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return refused("the version is neither HTTP/1.1 nor HTTP/1.0");
  return version == "HTTP/1.1";
}

Result<void> check_host(std::string_view value, Framing& framing) {
  if (++framing.hosts > 1) return refused("more than one Host");
  if (value.empty() || !all_in(kHostClass, value)) return refused("Host is not a name or address with an optional port");
  return {};
}

Result<void> check_length(std::string_view value, Framing& framing) {
  if (++framing.lengths > 1) return refused("more than one Content-Length");
  if (value.empty() || value.size() > kLengthDigitsMax || !std::all_of(value.begin(), value.end(), is_digit)) return refused("Content-Length is not a number");
  return {};
}

Result<void> check_coding(std::string_view value, Framing& framing) {
  if (++framing.codings > 1) return refused("more than one Transfer-Encoding");
  if (!framing.http11) return refused("Transfer-Encoding needs HTTP/1.1");
  if (!equal_ignoring_case(value, "chunked")) return refused("the only Transfer-Encoding is chunked");
  framing.facts.chunked = true;
  return {};
}

Result<void> check_expect(std::string_view value, Framing& framing) {
  if (!equal_ignoring_case(value, "100-continue"))
    return Error{Kind::bad_input, "expectation_failed", "the only expectation met is 100-continue", "leave the Expect header out"};
  framing.facts.expects_continue = framing.http11;
  return {};
}

struct Rule {
  std::string_view name;
  Result<void> (*check)(std::string_view value, Framing& framing);
};
constexpr auto kRules = std::to_array<Rule>({
    {"host", check_host},
    {"content-length", check_length},
    {"transfer-encoding", check_coding},
    {"expect", check_expect},
});

Result<void> check_line(std::string_view line, Framing& framing) {
  auto const colon = line.find(':');
  // A line that begins with white space continues the one before (obs-fold); its name is no token, nor is one with white space before the colon.
  if (colon == std::string_view::npos || !is_header_name(line.substr(0, colon))) return refused("a header line is not a name, a colon and a value");
  auto const name = line.substr(0, colon);
  auto const value = trim(line.substr(colon + 1));
  if (!all_in(kFieldClass, value)) return refused("a header's value holds a control character");
  for (auto const& rule : kRules)
    if (equal_ignoring_case(name, rule.name)) return rule.check(value, framing);
  return {};
}

}  // namespace

HeadEnd find_head_end(std::string_view bytes, std::size_t from) {
  for (auto line = from;;) {
    auto const feed = bytes.find('\n', line);
    if (feed == std::string_view::npos) return {HeadEnd::State::incomplete, line};
    if (feed == 0 || bytes[feed - 1] != '\r') return {HeadEnd::State::refused, 0};
    if (feed == line + 1) return {HeadEnd::State::complete, feed + 1};
    line = feed + 1;
  }
}

std::string origin_form(std::string_view target) {
  auto const rest = target.substr(authority_form(target).size());
  return rest.starts_with('?') || rest.empty() ? "/" + std::string(rest) : std::string(rest);
}

Result<HeadFacts> check_head(std::string_view block) {
  Framing framing;
  auto const request_line = block.substr(0, block.find("\r\n"));
  FLEET_TRY(framing.http11, is_http11(request_line));
  block.remove_prefix(request_line.size() + 2);
  std::size_t lines = 0;
  for (;;) {
    auto const end = block.find('\n');
    if (end == std::string_view::npos || end == 0) return refused("a line does not end in CR LF");
    if (end == 1) break;
    if (++lines > kHeaderLinesMax) return refused("too many header lines");
    FLEET_CHECK(check_line(block.substr(0, end - 1), framing));
    block.remove_prefix(end + 1);
  }
  if (framing.http11 && framing.hosts == 0) return refused("no Host");
  if (framing.lengths > 0 && framing.codings > 0) return refused("both Content-Length and Transfer-Encoding");
  return framing.facts;
}

}  // namespace fleet::net
