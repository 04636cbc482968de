#include "server/api/problem.hpp"
#include "server/api/route.hpp"

#include "core/base/text.hpp"
#include "core/crypto/hash.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace fleet::api {
namespace {

constexpr int kLimitDefault = 100;
constexpr int kLimitMax = 500;
constexpr std::size_t kReasonMax = 1'000;

struct Title {
  Kind kind;
  std::string_view text;
};
constexpr auto kTitles = std::to_array<Title>({
    {Kind::bad_input, "The request is not acceptable"},
    {Kind::unauthenticated, "No valid credential"},
    {Kind::forbidden, "Not allowed"},
    {Kind::not_found, "Not found"},
    {Kind::conflict, "The state does not allow it"},
    {Kind::precondition, "It has changed since it was read"},
    {Kind::too_large, "Too large"},
    {Kind::unprocessable, "The content is refused"},
    {Kind::required, "If-Match is required"},
    {Kind::throttled, "Too many requests"},
    {Kind::signature, "A signature does not verify"},
    {Kind::expired, "Expired"},
    {Kind::timeout, "Time-out"},
    {Kind::unavailable, "Not available now"},
});

std::string_view title_of(Kind kind) {
  auto const found = std::find_if(kTitles.begin(), kTitles.end(), [&](Title const& title) { return title.kind == kind; });
  return found == kTitles.end() ? "The server failed" : found->text;
}

struct Again {
  std::string_view code, seconds;
};
/// What passes sooner than other waiting does, or never by itself, so that whoever asks had better tell a person.
constexpr auto kAgain = std::to_array<Again>({{"upload_busy", "1"}, {"idempotency_key_in_use", "1"}, {"disk_full", ""}, {"key_offline", ""}});

/// The seconds of Retry-After; empty: none.
std::string_view again_after(Error const& error) {
  auto const found = std::find_if(kAgain.begin(), kAgain.end(), [&](Again const& again) { return again.code == error.code; });
  if (found != kAgain.end()) return found->seconds;
  return error.kind == Kind::throttled || error.kind == Kind::unavailable ? "5" : "";
}

/// The tag of an object: its revision, which If-Match compares, and a piece of a hash of its content, so that If-None-Match also sees
/// what changes without a revision (whether a device is online).
std::string make_etag(std::int64_t revision, std::string_view body) { return fmt::format("\"{}.{}\"", revision, crypto::sha256(body).hex().substr(0, 12)); }

/// Calls `fits(tag)` for each entity tag of a header (RFC 9110, 8.8.3) until one fits.
template <class F>
bool any_tag(std::string_view header, F const& fits) {
  while (!header.empty()) {
    auto const comma = header.find(',');
    auto tag = header.substr(0, comma);
    header.remove_prefix(comma == std::string_view::npos ? header.size() : comma + 1);
    while (tag.starts_with(' ')) tag.remove_prefix(1);
    while (tag.ends_with(' ')) tag.remove_suffix(1);
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag == "*" || fits(tag)) return true;
  }
  return false;
}

/// The query of this request with another cursor, for the next page's link.
std::string next_target(Call const& call, std::string_view cursor) {
  std::string out(call.request.path);
  char join = '?';
  for (auto const& [name, value] : call.query) {
    if (name == "cursor") continue;
    out += fmt::format("{}{}={}", join, net::percent_encode(name), net::percent_encode(value));
    join = '&';
  }
  return fmt::format("{}{}cursor={}", out, join, cursor);
}

bool is_safe(net::Method method) { return method == net::Method::get || method == net::Method::head; }

/// If-Match of one who only reads (RFC 9110, 13.1.1): of the object, if the reply tells which state of it that is.
Result<void> check_read_condition(Call const& call, Reply const& reply) {
  auto const header = call.request.header("If-Match");
  if (header.empty() || !reply.revision || !is_safe(call.request.method)) return {};
  auto const etag = make_etag(*reply.revision, reply.body);
  if (has_tag(header, etag)) return {};
  return Error{Kind::precondition, "changed_meanwhile", fmt::format("If-Match has {}, the object is {}", header, etag), "read it without If-Match"};
}

Error bad_cursor() { return {Kind::bad_input, "bad_cursor", "cursor: not one that this list gave", "take `next` of the page before as it is"}; }

}  // namespace

events::Deed Call::deed(std::string reason) const { return {now, actor.name, std::move(reason), request_id, actor.limits.model}; }

std::string_view Call::path_value(std::string_view name) const {
  auto const found = path.find(name);
  return found == path.end() ? std::string_view() : std::string_view(found->second);
}

std::string Call::query_value(std::string_view name, std::string_view fallback) const {
  auto const found = query.find(name);
  return std::string(found == query.end() ? fallback : std::string_view(found->second));
}

Result<void> check_if_match(Call const& call, std::int64_t revision) {
  auto const header = call.request.header("If-Match");
  bool const demanded = call.request.method == net::Method::put || call.request.method == net::Method::patch;
  if (header.empty()) {
    if (!demanded) return {};
    return Error{Kind::required, "if_match_required",
                 fmt::format("{} {} changes what exists and needs If-Match", to_string(call.request.method), call.request.path),
                 "read the object first and send its ETag as If-Match"};
  }
  auto const wanted = std::to_string(revision);
  auto const is_current = [&](std::string_view tag) { return tag.starts_with('"') && tag.substr(1, tag.find_first_of(".\"", 1) - 1) == wanted; };
  if (any_tag(header, is_current)) return {};
  return Error{Kind::precondition, "changed_meanwhile", fmt::format("If-Match has {}, the object is at revision {}", header, revision),
               "read the object again and repeat the change on what it is now"};
}

bool has_tag(std::string_view header, std::string_view etag) {
  return any_tag(header, [&](std::string_view tag) { return tag == etag; });
}

Result<Page> read_page(Call const& call) {
  Page page;
  page.limit = kLimitDefault;
  if (auto const text = call.query_value("limit"); !text.empty()) {
    auto const [end, failed] = std::from_chars(text.data(), text.data() + text.size(), page.limit);
    if (failed != std::errc{} || end != text.data() + text.size() || page.limit < 1 || page.limit > kLimitMax) {
      return Error{Kind::bad_input, "bad_limit", fmt::format("limit: expected 1 to {}, got '{}'", kLimitMax, text)};
    }
  }
  if (auto const text = call.query_value("cursor"); !text.empty()) {
    auto const raw = from_base64url(text);
    if (!raw) return bad_cursor();
    page.after = as_text(*raw);
    if (!is_utf8(page.after) || page.after.find('\0') != std::string::npos) return bad_cursor();
  }
  return page;
}

Result<std::int64_t> read_number_cursor(Page const& page, std::int64_t start) {
  if (page.after.empty()) return start;
  std::int64_t out = 0;
  auto const* const last = page.after.data() + page.after.size();
  auto const [end, failed] = std::from_chars(page.after.data(), last, out);
  if (failed != std::errc{} || end != last || out < 0) return bad_cursor();
  return out;
}

Reply list_reply(Call const& call, std::vector<std::string> const& items_json, std::string_view next_after) {
  Reply reply;
  std::size_t size = 64;
  for (auto const& item : items_json) size += item.size() + 1;
  reply.body.reserve(size);
  reply.body = R"({"items":[)";
  for (auto const& item : items_json) {
    if (reply.body.back() != '[') reply.body += ',';
    reply.body += item;
  }
  if (next_after.empty()) {
    reply.body += R"(],"next":null})";
    return reply;
  }
  auto const cursor = to_base64url(as_bytes(next_after));
  reply.body += fmt::format(R"(],"next":"{}"}})", cursor);
  reply.headers.push_back({"Link", fmt::format(R"(<{}>; rel="next")", next_target(call, cursor))});
  return reply;
}

Result<void> only_query(Call const& call, std::initializer_list<std::string_view> known) {
  std::vector<FieldError> faults, empty;
  for (auto const& [name, value] : call.query) {
    if (std::find(known.begin(), known.end(), name) == known.end()) faults.push_back({"?" + name, "not a parameter of this route"});
    // A script whose variable is empty means something else than everything. An empty selector is one that all fit.
    else if (value.empty() && name != "selector") empty.push_back({"?" + name, "is empty"});
  }
  if (faults.empty() && !empty.empty())
    return Error{Kind::bad_input, "empty_parameter", fmt::format("parameter '{}' is empty", empty.front().pointer.substr(1)),
                 "give it a value, or leave it out", empty};
  if (faults.empty()) return {};
  return Error{Kind::bad_input, "unknown_parameter", fmt::format("unknown parameter '{}'", faults.front().pointer.substr(1)),
               known.size() == 0 ? "this route takes no parameters" : fmt::format("known: {}", fmt::join(known, ", ")), faults};
}

Result<VerbBody> read_verb(Call const& call, bool reason_required, std::initializer_list<std::string_view> other_texts) {
  VerbBody out;
  std::vector<FieldError> faults;
  FLEET_TRY(auto const body, wire::parse_json(call.request.body.empty() ? "{}" : std::string_view(call.request.body), 64 * 1024));
  wire::ObjectReader reader(body, "", faults);
  out.reason = reader.text("reason", kReasonMax, "");
  if (reason_required && out.reason.empty()) reader.fault("reason", "required: why this is done, for the audit log");
  for (auto const name : other_texts) {
    auto text = reader.text(name, kReasonMax, "");
    if (!text.empty()) out.texts.emplace(name, std::move(text));
  }
  reader.refuse_unknown();
  FLEET_CHECK(wire::no_faults(faults, "body"));
  return out;
}

net::Response render(Reply&& reply, Call const& call) {
  if (auto const fits = check_read_condition(call, reply); !fits) return problem(fits.error(), call.request_id);
  net::Response out;
  out.status = reply.status;
  out.headers = std::move(reply.headers);
  if (reply.revision) {
    auto const etag = make_etag(*reply.revision, reply.body);
    out.headers.push_back({"ETag", etag});
    bool const safe = is_safe(call.request.method);
    auto const known = call.request.header("If-None-Match");
    if (safe && !known.empty() && any_tag(known, [&](std::string_view tag) { return tag == etag; })) {
      out.status = 304;
      reply.body.clear();
    }
  }
  if (!reply.body.empty() || reply.file || reply.stream) out.headers.push_back({"Content-Type", std::move(reply.content_type)});
  if (net::find_header(out.headers, "Cache-Control").empty()) out.headers.push_back({"Cache-Control", "no-store"});
  out.headers.push_back({"Request-Id", call.request_id});
  if (reply.file) {
    out.body = std::move(*reply.file);
  } else if (reply.stream) {
    out.body = std::move(*reply.stream);
  } else {
    out.body = std::move(reply.body);
  }
  return out;
}

net::Response problem(Error const& error, std::string_view request_id) { return problem_as(http_status(error.kind), title_of(error.kind), error, request_id); }

net::Response problem_as(int status, std::string_view title, Error const& error, std::string_view request_id) {
  // Texts quote what was asked for, whatever bytes that had, and may have cut it anywhere.
  boost::json::object body{{"type", "urn:fleet:problem:" + error.code},
                           {"title", title},
                           {"status", status},
                           {"detail", valid_text(error.detail)},
                           {"code", error.code},
                           {"hint", valid_text(error.hint)},
                           {"request_id", request_id}};
  boost::json::array fields;
  for (auto const& field : error.errors) fields.push_back({{"pointer", valid_text(field.pointer)}, {"detail", valid_text(field.detail)}});
  body["errors"] = std::move(fields);
  net::Response out;
  out.status = status;
  out.headers = {{"Content-Type", "application/problem+json"}, {"Cache-Control", "no-store"}, {"Request-Id", std::string(request_id)}};
  if (error.kind == Kind::unauthenticated) out.headers.push_back({"WWW-Authenticate", "Bearer"});
  if (auto const after = again_after(error); !after.empty()) out.headers.push_back({"Retry-After", std::string(after)});
  out.body = boost::json::serialize(body);
  return out;
}

}  // namespace fleet::api
