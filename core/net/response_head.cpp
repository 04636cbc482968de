#include "core/net/response_head.hpp"

#include "core/base/text.hpp"
#include "core/net/ascii.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace fleet::net {
namespace {

struct Reason {
  int status;
  std::string_view text;
};
constexpr auto kReasons = std::to_array<Reason>({
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
});

/// Set by the server alone: a second one would be a second opinion on framing.
constexpr auto kServersOwn = std::to_array<std::string_view>({"content-length", "transfer-encoding", "connection", "date"});

bool is_servers_own(std::string_view name) {
  return std::any_of(kServersOwn.begin(), kServersOwn.end(), [&](std::string_view own) { return equal_ignoring_case(own, name); });
}

void append_number(std::string& out, std::uint64_t number) {
  char digits[20];
  auto const end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

/// Within a JSON string.
std::string quotable(std::string_view text) {
  std::string out;
  for (char const c : safe_text(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// 1xx and 204 have no body and no length; a 304 would have to give the length of another answer.
bool has_length(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

std::string_view reason_of(int status) {
  for (auto const& row : kReasons)
    if (row.status == status) return row.text;
  return {};
}

Result<void> render_head(Response const& response, std::uint64_t body_size, bool close, std::string_view date_line, std::string& out) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(response.status));
  out += ' ';
  out += reason_of(response.status);
  out += "\r\n";
  out += date_line;
  for (auto const& [name, value] : response.headers) {
    if (!is_header_name(name) || !is_header_value(value) || is_servers_own(name))
      return Error{Kind::internal, "bad_response_header",
                   fmt::format("header '{}' of an answer may not be sent: not allowed there, or a control character in it", name)};
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  if (has_length(response.status)) {
    out += "Content-Length: ";
    append_number(out, body_size);
    out += "\r\n";
  }
  if (close) out += "Connection: close\r\n";
  out += "\r\n";
  return {};
}

Response make_problem(int status, std::string_view code, std::string_view detail, std::string_view hint, std::string_view request_id) {
  auto body =
      fmt::format(R"({{"type":"urn:fleet:problem:{0}","title":"{1}","status":{2},"detail":"{3}","code":"{0}","hint":"{4}","request_id":"{5}","errors":[]}})",
                  code, reason_of(status), status, quotable(detail), quotable(hint), request_id);
  return {status, {{"Content-Type", "application/problem+json"}, {"Request-Id", std::string{request_id}}}, std::move(body), true};
}

std::string make_date_line(SysTime at) {
  static constexpr auto kDays = std::to_array<std::string_view>({"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"});
  static constexpr auto kMonths = std::to_array<std::string_view>({"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"});
  auto const day = std::chrono::floor<std::chrono::days>(at);
  std::chrono::year_month_day const date{day};
  std::chrono::hh_mm_ss const time{std::chrono::floor<seconds>(at - day)};
  return fmt::format("Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", kDays[std::chrono::weekday{day}.c_encoding()], static_cast<unsigned>(date.day()),
                     kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()), time.hours().count(), time.minutes().count(),
                     time.seconds().count());
}

}  // namespace fleet::net
