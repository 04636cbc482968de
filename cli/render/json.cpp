#include "cli/render/json.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <cmath>

namespace fleet::render {
namespace json = boost::json;
namespace {

std::string number_text(json::value const& value) {
  if (value.is_int64()) return fmt::format("{}", value.get_int64());
  if (value.is_uint64()) return fmt::format("{}", value.get_uint64());
  auto const number = value.get_double();
  return std::isfinite(number) ? fmt::format("{}", number) : "null";
}

void append(std::string& out, json::value const& value, int indent, int level) {
  auto const line = [&](int depth) {
    if (indent == 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(depth), ' ');
  };
  if (auto const* object = value.if_object()) {
    out += '{';
    bool first = true;
    for (auto const& [key, child] : *object) {
      out += first ? "" : ",";
      first = false;
      line(level + 1);
      out += json::serialize(json::string_view(key)) + (indent == 0 ? ":" : ": ");
      append(out, child, indent, level + 1);
    }
    if (!first) line(level);
    out += '}';
  } else if (auto const* array = value.if_array()) {
    out += '[';
    bool first = true;
    for (auto const& child : *array) {
      out += first ? "" : ",";
      first = false;
      line(level + 1);
      append(out, child, indent, level + 1);
    }
    if (!first) line(level);
    out += ']';
  } else if (value.is_number()) {
    out += number_text(value);
  } else {
    out += json::serialize(value);
  }
}

json::value const kNull;

}  // namespace

std::string json_text(json::value const& value, int indent) {
  std::string out;
  append(out, value, indent, 0);
  return out;
}

json::value const& member(json::value const& value, std::string_view path) {
  auto const* at = &value;
  while (!path.empty()) {
    auto const dot = std::min(path.find('.'), path.size());
    auto const* object = at->if_object();
    auto const* next = object == nullptr ? nullptr : object->if_contains(path.substr(0, dot));
    if (next == nullptr) return kNull;
    at = next;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return *at;
}

std::string text_of(json::value const& value) {
  if (auto const* text = value.if_string()) return std::string(text->data(), text->size());
  if (value.is_number()) return number_text(value);
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  return {};
}

std::string text_at(json::value const& value, std::string_view path) { return text_of(member(value, path)); }

double number_at(json::value const& value, std::string_view path, double fallback) {
  auto const& at = member(value, path);
  return at.is_number() ? at.to_number<double>() : fallback;
}

std::string short_number_at(json::value const& value, std::string_view path) {
  auto const& at = member(value, path);
  return at.is_number() ? fmt::format("{:.4g}", at.to_number<double>()) : "";
}

std::string joined(json::value const& value) {
  std::string out;
  auto const add = [&out](std::string const& text) { out += (out.empty() ? "" : ",") + text; };
  if (auto const* array = value.if_array())
    for (auto const& child : *array) add(text_of(child));
  if (auto const* object = value.if_object())
    for (auto const& [key, child] : *object) add(std::string(key) + "=" + text_of(child));
  return out;
}

}  // namespace fleet::render
