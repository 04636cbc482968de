#include "core/wire/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <charconv>
#include <cmath>
#include <optional>
#include <sstream>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr int kDepthMax = 32;
constexpr std::size_t kNodesMax = 100'000;

Error refused(YAML::Mark const& mark, std::string_view why) {
  return {Kind::bad_input, "bad_yaml", fmt::format("line {}, column {}: {}", mark.line + 1, mark.column + 1, why)};
}

template <class T>
std::optional<T> number(std::string const& text) {
  T value{};
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// YAML 1.2 core schema, 10.3.2, of a plain scalar.
json::value plain(std::string const& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  bool const numeric = text.find_first_not_of("+-.0123456789eE") == std::string::npos && text.find_first_of("0123456789") != std::string::npos;
  if (!numeric) return json::string(text);
  auto const digits = text[0] == '+' ? text.substr(1) : text;
  if (auto const whole = number<std::int64_t>(digits)) return *whole;
  if (auto const real = number<double>(digits); real && std::isfinite(*real)) return *real;
  return json::string(text);
}

Result<json::value> convert(YAML::Node const& node, int depth, std::size_t& budget) {
  if (depth > kDepthMax) return refused(node.Mark(), fmt::format("nested deeper than {} levels", kDepthMax));
  if (budget-- == 0) return refused(node.Mark(), fmt::format("more than {} values", kNodesMax));
  if (node.IsNull() || !node.IsDefined()) return json::value(nullptr);
  if (node.IsScalar()) {
    if (node.Tag() == "!") return json::value(json::string(node.Scalar()));  // quoted
    if (node.Tag() != "?" && !node.Tag().empty()) return refused(node.Mark(), fmt::format("tags such as {} are not taken", node.Tag()));
    return plain(node.Scalar());
  }
  if (node.IsSequence()) {
    json::array list;
    for (auto const& item : node) {
      FLEET_TRY(auto value, convert(item, depth + 1, budget));
      list.push_back(std::move(value));
    }
    return json::value(std::move(list));
  }
  json::object object;
  for (auto const& member : node) {
    if (!member.first.IsScalar()) return refused(member.first.Mark(), "a key must be a plain word");
    auto const key = member.first.Scalar();
    if (object.contains(key)) return refused(member.first.Mark(), fmt::format("key '{}' twice", key));
    FLEET_TRY(auto value, convert(member.second, depth + 1, budget));
    object.emplace(key, std::move(value));
  }
  return json::value(std::move(object));
}

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

}  // namespace

Result<std::string> yaml_to_json(std::string_view yaml, std::size_t limit_bytes) {
  if (yaml.size() > limit_bytes) return Error{Kind::too_large, "too_large", fmt::format("{} bytes of YAML, at most {} are taken", yaml.size(), limit_bytes)};
  try {
    std::string const text(yaml);
    if (!is_one_document(text)) return Error{Kind::bad_input, "bad_yaml", "more than one document, one is taken"};
    std::size_t budget = kNodesMax;
    FLEET_TRY(auto const value, convert(YAML::Load(text), 0, budget));
    return json::serialize(value);
  } catch (YAML::Exception const& fault) {
    return refused(fault.mark, fault.msg);
  }
}

}  // namespace fleet::wire
