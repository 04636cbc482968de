#include "core/wire/yaml.hpp"

#include "core/base/bytes.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr int kDepthMax = 32;
constexpr std::size_t kNodesMax = 100'000;

Error bad_yaml(std::string detail) { return {Kind::bad_input, "bad_yaml", std::move(detail)}; }

Error refused(YAML::Mark const& mark, std::string_view why) {
  if (mark.is_null()) return bad_yaml(std::string(why));
  return bad_yaml(fmt::format("line {}, column {}: {}", mark.line + 1, mark.column + 1, why));
}

template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
  T value{};
  auto const* const end = text.data() + text.size();
  auto const parsed = [&] {
    if constexpr (std::is_integral_v<T>) return std::from_chars(text.data(), end, value, base);
    else return std::from_chars(text.data(), end, value);
  }();
  if (parsed.ptr != end || (parsed.ec != std::errc{} && parsed.ec != std::errc::result_out_of_range)) return std::nullopt;
  if (parsed.ec == std::errc{}) return value;
  if constexpr (std::is_integral_v<T>) return std::nullopt;
  else return HUGE_VAL;
}

/// YAML 1.2 core schema, 10.3.2, of a plain scalar. Nothing: a number that is not finite.
std::optional<json::value> plain(std::string const& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return json::value(nullptr);
  if (text == "true" || text == "True" || text == "TRUE") return json::value(true);
  if (text == "false" || text == "False" || text == "FALSE") return json::value(false);
  auto const digits = std::string_view(text).substr(text[0] == '+' ? 1 : 0);
  auto const unsigned_part = digits.substr(digits.starts_with('-') ? 1 : 0);
  for (auto const* const endless : {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"})
    if (unsigned_part == endless) return std::nullopt;
  for (auto const& [prefix, base] : {std::pair{"0x", 16}, std::pair{"0o", 8}})
    if (text.starts_with(prefix))
      if (auto const whole = number<std::int64_t>(std::string_view(text).substr(2), base); whole && *whole >= 0) return json::value(*whole);
  bool const numeric = text.find_first_not_of("+-.0123456789eE") == std::string::npos && text.find_first_of("0123456789") != std::string::npos;
  if (!numeric) return json::value(json::string(text));
  if (auto const whole = number<std::int64_t>(digits)) return json::value(*whole);
  auto const real = number<double>(digits);
  if (real && !std::isfinite(*real)) return std::nullopt;
  return real ? json::value(*real) : json::value(json::string(text));
}

std::string_view first_part(std::string_view pointer) { return pointer.substr(0, std::min(pointer.find('/', 1), pointer.size())); }

/// @param pattern  `/report/*`
bool matches(std::string_view pattern, std::string_view pointer) {
  while (!pattern.empty() && !pointer.empty()) {
    auto const wanted = first_part(pattern), got = first_part(pointer);
    if (wanted != "/*" && wanted != got) return false;
    pattern.remove_prefix(wanted.size());
    pointer.remove_prefix(got.size());
  }
  return pattern.empty() && pointer.empty();
}

/// yaml-cpp takes the end of the text for the end of a quoted scalar, too.
bool is_closed(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == '!' || text[at] == '&')) {  // its tag or anchor stands before it
    at = text.find_first_of(" \t\r\n", at);
    at = at == std::string_view::npos ? text.size() : std::min(text.find_first_not_of(" \t\r\n", at), text.size());
  }
  if (at >= text.size() || (text[at] != '"' && text[at] != '\'')) return true;  // not told where it stands
  char const quote = text[at];
  for (++at; at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') ++at;
    else if (text[at] == quote && quote == '\'' && at + 1 < text.size() && text[at + 1] == quote) ++at;
    else if (text[at] == quote) return true;
  }
  return false;
}

std::string escaped(std::string_view key) {
  std::string out;
  for (char const c : key) {
    if (c == '~') out += "~0";
    else if (c == '/') out += "~1";
    else out += c;
  }
  return out;
}

class Converter {
public:
  Converter(std::string const& text, std::span<std::string_view const> texts) : text_(text), texts_(texts) {}

  Result<json::value> convert(YAML::Node const& node, std::string const& pointer, int depth) {
    if (depth > kDepthMax) return refused(node.Mark(), fmt::format("nested deeper than {} levels", kDepthMax));
    if (budget_-- == 0) return refused(node.Mark(), fmt::format("more than {} values", kNodesMax));
    if (!node.IsDefined() || node.IsNull()) return json::value(nullptr);
    lines.emplace(pointer, node.Mark().line + 1);
    if (node.IsScalar()) return scalar(node, pointer);
    if (node.Tag() != "?" && !node.Tag().empty()) return refused(node.Mark(), fmt::format("tags such as {} are not taken", node.Tag()));
    return node.IsSequence() ? sequence(node, pointer, depth) : mapping(node, pointer, depth);
  }

  std::map<std::string, int, std::less<>> lines;

private:
  Result<json::value> scalar(YAML::Node const& node, std::string const& pointer) const {
    auto const& written = node.Scalar();
    if (node.Tag() == "!") {  // quoted
      if (!is_closed(text_, static_cast<std::size_t>(std::max(0, node.Mark().pos)))) return refused(node.Mark(), "a quote that is not closed");
      return json::value(json::string(written));
    }
    if (node.Tag() != "?" && !node.Tag().empty()) return refused(node.Mark(), fmt::format("tags such as {} are not taken", node.Tag()));
    if (std::any_of(texts_.begin(), texts_.end(), [&](auto const pattern) { return matches(pattern, pointer); })) return json::value(json::string(written));
    auto value = plain(written);
    if (!value) return refused(node.Mark(), fmt::format("{} is no number that can be kept; put it in quotes where text is meant", written));
    return *std::move(value);
  }

  /// `~` or `null`, not just nothing.
  [[nodiscard]] bool is_written(YAML::Node const& null) const {
    auto const at = static_cast<std::size_t>(std::max(0, null.Mark().pos));
    return at < text_.size() && std::string_view("~nN").find(text_[at]) != std::string_view::npos;
  }

  Result<json::value> sequence(YAML::Node const& node, std::string const& pointer, int depth) {
    json::array list;
    for (auto const& item : node) {
      if (item.IsNull() && !is_written(item)) return refused(node.Mark(), fmt::format("item {} of this list has no value", list.size() + 1));
      FLEET_TRY(auto value, convert(item, fmt::format("{}/{}", pointer, list.size()), depth + 1));
      list.push_back(std::move(value));
    }
    return json::value(std::move(list));
  }

  Result<json::value> mapping(YAML::Node const& node, std::string const& pointer, int depth) {
    json::object object;
    for (auto const& member : node) {
      if (!member.first.IsScalar()) return refused(member.first.Mark(), "a key must be a plain word");
      auto const& key = member.first.Scalar();
      if (member.first.Tag() == "!" && !is_closed(text_, static_cast<std::size_t>(std::max(0, member.first.Mark().pos))))
        return refused(member.first.Mark(), "a quote that is not closed");
      if (object.contains(key)) return refused(member.first.Mark(), fmt::format("key '{}' twice", key));
      auto const inner = pointer + "/" + escaped(key);
      lines.emplace(inner, member.first.Mark().line + 1);
      FLEET_TRY(auto value, convert(member.second, inner, depth + 1));
      object.emplace(key, std::move(value));
    }
    return json::value(std::move(object));
  }

  std::string const& text_;
  std::span<std::string_view const> texts_;
  std::size_t budget_ = kNodesMax;
};

/// Walks a document and keeps nothing of it.
class Walker final : public YAML::EventHandler {
public:
  void OnDocumentStart(YAML::Mark const&) override {}
  void OnDocumentEnd() override {}
  void OnNull(YAML::Mark const&, YAML::anchor_t) override {}
  void OnAlias(YAML::Mark const&, YAML::anchor_t) override {}
  void OnScalar(YAML::Mark const&, std::string const&, YAML::anchor_t, std::string const&) override {}
  void OnSequenceStart(YAML::Mark const&, std::string const&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(YAML::Mark const&, std::string const&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

/// One step at a time: behind some malformed texts yaml-cpp 0.7 finds empty documents for ever, and LoadAll takes memory until there is none.
bool is_one_document(std::string const& text) {
  std::istringstream in(text);
  YAML::Parser parser(in);
  Walker walker;
  return !parser.HandleNextDocument(walker) || !parser.HandleNextDocument(walker);
}

/// YAML is text: yaml-cpp would take NUL for its end, bytes that are no UTF-8 for question marks, and a mark of another encoding at its word.
Result<void> check_characters(std::string_view text) {
  int line = 1;
  for (char const c : text) {
    if (c == '\n') ++line;
    auto const byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\r' && c != '\t') || byte == 0x7f)
      return bad_yaml(fmt::format("line {}: the control character {:#04x}", line, byte));
  }
  if (!is_utf8(text)) return bad_yaml("bytes that are no UTF-8");
  return {};
}

}  // namespace

int YamlDocument::line_of(std::string_view pointer) const {
  for (;;) {
    if (auto const found = lines.find(pointer); found != lines.end()) return found->second;
    if (pointer.empty()) return 1;
    pointer = pointer.substr(0, pointer.find_last_of('/'));
  }
}

Error YamlDocument::located(Error error, std::string_view file, std::string_view prefix) const {
  auto const line = [&](FieldError const& one) {
    std::string_view const pointer = one.pointer;
    return line_of(pointer.starts_with(prefix) ? pointer.substr(prefix.size()) : pointer);
  };
  if (!std::any_of(error.errors.begin(), error.errors.end(), [&](FieldError const& one) { return one.pointer.starts_with(prefix); })) return error;
  std::stable_sort(error.errors.begin(), error.errors.end(), [&](auto const& a, auto const& b) { return line(a) < line(b); });
  for (auto& one : error.errors) one.detail += fmt::format(" ({}, line {})", file, line(one));
  return in_file(std::move(error), file);
}

Error in_file(Error error, std::string_view file) {
  error.detail = fmt::format("{}: {}", file, error.detail);
  return error;
}

Result<YamlDocument> read_yaml(std::string_view yaml, std::size_t limit_bytes, std::span<std::string_view const> texts) {
  if (yaml.size() > limit_bytes) return Error{Kind::too_large, "too_large", fmt::format("{} bytes of YAML, at most {} are taken", yaml.size(), limit_bytes)};
  FLEET_CHECK(check_characters(yaml));
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (yaml.starts_with(kMark)) yaml.remove_prefix(kMark.size());
  try {
    std::string const text(yaml);
    if (!is_one_document(text)) return bad_yaml("more than one document, one is taken");
    Converter converter(text, texts);
    FLEET_TRY(auto const value, converter.convert(YAML::Load(text), "", 0));
    return YamlDocument{json::serialize(value), std::move(converter.lines)};
  } catch (YAML::Exception const& fault) {
    return refused(fault.mark, fault.msg);
  }
}

}  // namespace fleet::wire
