#include "core/net/http.hpp"

#include "core/net/ascii.hpp"

#include <fmt/format.h>

#include <array>

namespace fleet::net {
namespace {

constexpr auto kMethodNames = std::to_array<std::string_view>({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"});

Error bad_escape(std::string_view text, std::string_view why) {
  return {Kind::bad_input, "bad_escape", fmt::format("percent-encoding: {} in a text of {} bytes", why, text.size()), "write a literal % as %25"};
}

bool is_unreserved(char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~'; }

}  // namespace

std::string_view to_string(Method method) { return kMethodNames[static_cast<std::size_t>(method)]; }

std::string_view find_header(Headers const& headers, std::string_view name) {
  for (auto const& header : headers)
    if (equal_ignoring_case(header.name, name)) return header.value;
  return {};
}

Response json_response(int status, std::string body) { return {status, {{"Content-Type", "application/json"}}, std::move(body), false}; }

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return bad_escape(text, "a cut escape");
      int const high = hex_value(text[i + 1]);
      int const low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return bad_escape(text, "an escape that is not hex");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c == '\0') return bad_escape(text, "a NUL");
    out.push_back(c);
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char const c : text) {
    if (is_unreserved(c)) out.push_back(c);
    else out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out;
}

Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!query.empty()) {
    auto const end = query.find('&');
    auto const item = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    if (item.empty()) continue;
    auto const equals = item.find('=');
    FLEET_TRY(auto name, percent_decode(item.substr(0, equals), true));
    std::string value;
    if (equals != std::string_view::npos) {
      FLEET_TRY(value, percent_decode(item.substr(equals + 1), true));
    }
    out.emplace_back(std::move(name), std::move(value));
  }
  return out;
}

}  // namespace fleet::net
