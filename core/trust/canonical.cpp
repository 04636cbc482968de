#include "core/trust/canonical.hpp"

#include "core/base/json_text.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace fleet::trust {
namespace json = boost::json;
namespace {

Error refused(std::string detail) { return {Kind::bad_input, "bad_metadata", std::move(detail)}; }

/// Counts members and refuses numbers that a canonical form has no place for.
Result<std::size_t> check(json::value const& value) {
  if (value.is_double()) return refused("a number is no whole number within 64 bits");
  if (value.is_uint64()) return refused("a number is beyond 64 bits");
  std::size_t members = 0;
  if (auto const* const object = value.if_object())
    for (auto const& member : *object) {
      FLEET_TRY(auto const below, check(member.value()));
      members += 1 + below;
    }
  if (auto const* const array = value.if_array())
    for (auto const& item : *array) {
      FLEET_TRY(auto const below, check(item));
      members += below;
    }
  return members;
}

/// How a text is written between its quotes: all else is the same in both forms.
using WriteText = void (*)(std::string&, std::string_view);

void write_raw(std::string& out, std::string_view text) {
  out += '"';
  for (char const c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

void write_escaped(std::string& out, std::string_view text) { out += json::serialize(text); }

void write(std::string& out, json::value const& value, WriteText write_text);

void write_object(std::string& out, json::object const& object, WriteText write_text) {
  std::vector<json::object::const_pointer> members;
  members.reserve(object.size());
  for (auto const& member : object) members.push_back(&member);
  // UTF-8 orders by bytes as by code points.
  std::sort(members.begin(), members.end(), [](auto const* a, auto const* b) { return std::string_view(a->key()) < std::string_view(b->key()); });
  out += '{';
  for (auto const* const member : members) {
    if (out.back() != '{') out += ',';
    write_text(out, member->key());
    out += ':';
    write(out, member->value(), write_text);
  }
  out += '}';
}

void write(std::string& out, json::value const& value, WriteText write_text) {
  switch (value.kind()) {
    case json::kind::null: out += "null"; return;
    case json::kind::bool_: out += value.get_bool() ? "true" : "false"; return;
    case json::kind::int64: out += std::to_string(value.get_int64()); return;
    case json::kind::uint64: out += std::to_string(value.get_uint64()); return;
    case json::kind::double_: throw std::logic_error("a fraction has no canonical form");
    case json::kind::string: write_text(out, value.get_string()); return;
    case json::kind::object: write_object(out, value.get_object(), write_text); return;
    case json::kind::array: break;
  }
  out += '[';
  for (std::size_t i = 0; i < value.get_array().size(); ++i) {
    if (i > 0) out += ',';
    write(out, value.get_array()[i], write_text);
  }
  out += ']';
}

}  // namespace

Result<json::value> parse_strict(BytesView text, std::uint64_t limit_bytes) {
  if (text.size() > limit_bytes)
    return Error{Kind::too_large, "too_large", fmt::format("{} bytes of metadata, at most {} are taken", text.size(), limit_bytes)};
  json::parse_options options;
  options.max_depth = 32;
  json::stream_parser parser({}, options);
  boost::system::error_code fault;
  parser.write(reinterpret_cast<char const*>(text.data()), text.size(), fault);
  if (!fault) parser.finish(fault);
  if (fault) return refused("not JSON: " + fault.message());
  auto value = parser.release();
  FLEET_TRY(auto const members, check(value));
  if (members != count_json_members(as_text(text))) return refused("an object has the same key twice");
  return value;
}

std::string canonical(json::value const& value) {
  std::string out;
  write(out, value, write_raw);
  return out;
}

std::string json_file(json::value const& value) {
  std::string out;
  write(out, value, write_escaped);
  return out;
}

}  // namespace fleet::trust
