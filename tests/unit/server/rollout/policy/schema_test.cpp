#include "server/rollout/policy/policy.hpp"
#include "server/rollout/policy/presets.hpp"

#include "core/base/fs.hpp"
#include "tests/support/source_dir.hpp"
#include "tests/unit/server/rollout/policy/whole_policy.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <boost/json.hpp>

#include <algorithm>
#include <iterator>
#include <regex>
#include <set>
#include <string>

// What schema/json/policy.schema.json says there is, what decode_policy reads, what encode writes and what docs/policy.md tells are the same.
using namespace fleet;
using namespace fleet::rollout;
namespace json = boost::json;

namespace {

using Paths = std::set<std::string>;

std::string read(std::string const& path) {
  auto text = system_fs().read(test::source_dir() + "/" + path, 1024 * 1024);
  REQUIRE_MESSAGE(text.has_value(), path);
  return *text;
}

json::value const& schema() {
  static json::value const document = json::parse(read("schema/json/policy.schema.json"));
  return document;
}

/// Keys of objects, as `stages[].bake`.
void add_schema_paths(json::value const& node, std::string const& at, Paths& out) {
  auto const& object = node.as_object();
  if (auto const* ref = object.if_contains("$ref")) {
    auto const name = std::string(ref->as_string()).substr(std::string("#/$defs/").size());
    add_schema_paths(schema().at("$defs").at(name), at, out);
  }
  if (auto const* items = object.if_contains("items")) add_schema_paths(*items, at + "[]", out);
  if (auto const* choices = object.if_contains("oneOf"))
    for (auto const& choice : choices->as_array()) add_schema_paths(choice, at, out);
  if (auto const* properties = object.if_contains("properties"))
    for (auto const& member : properties->as_object()) {
      auto const path = (at.empty() ? "" : at + ".") + std::string(member.key());
      out.insert(path);
      CHECK_MESSAGE(member.value().as_object().contains("description") + member.value().as_object().contains("$ref") > 0, path);
      add_schema_paths(member.value(), path, out);
    }
}

Paths schema_paths() {
  Paths out;
  add_schema_paths(schema().at("$defs").at("policy"), "", out);
  return out;
}

void add_paths(json::value const& value, std::string const& at, Paths& out) {
  if (auto const* object = value.if_object())
    for (auto const& member : *object) {
      auto const path = (at.empty() ? "" : at + ".") + std::string(member.key());
      out.insert(path);
      add_paths(member.value(), path, out);
    }
  if (auto const* array = value.if_array())
    for (auto const& item : *array) add_paths(item, at + "[]", out);
}

Paths missing(Paths const& from, Paths const& in) {
  Paths out;
  std::set_difference(from.begin(), from.end(), in.begin(), in.end(), std::inserter(out, out.end()));
  return out;
}

void check_same(Paths const& schema, Paths const& other, std::string_view which) {
  CHECK_MESSAGE(missing(schema, other).empty(), fmt::format("in the schema, not {}: {}", which, fmt::join(missing(schema, other), ", ")));
  CHECK_MESSAGE(missing(other, schema).empty(), fmt::format("{}, not in the schema: {}", which, fmt::join(missing(other, schema), ", ")));
}

}  // namespace

TEST_CASE("every key of the schema is taken, and written again") {
  Paths written, encoded;
  for (auto const text : {kWholePolicy, kWholeTest}) {
    auto const policy = decode_policy(text);
    REQUIRE(policy.has_value());
    add_paths(json::parse(text), "", written);
    add_paths(json::parse(encode(*policy)), "", encoded);
  }
  check_same(schema_paths(), written, "in the whole policy");
  check_same(schema_paths(), encoded, "written by encode");
}

TEST_CASE("every key that the decoder asks for is in the schema") {
  Paths names;
  for (auto const& path : schema_paths()) names.insert(path.substr(path.find_last_of(".]") == std::string::npos ? 0 : path.find_last_of(".]") + 1));
  std::regex const asks(R"re((?:find|text|required_text|integer|number|boolean|texts|time|duration|array|read_[a-z]+|each)\((?:\w*reader, |inner, )?"([a-z_]+)")re");
  int found = 0;
  for (auto const* const file : {"policy_decode", "decode_stages", "decode_gates", "decode_terms"}) {
    auto const source = read(fmt::format("server/rollout/policy/{}.cpp", file));
    for (std::sregex_iterator it(source.begin(), source.end(), asks), end; it != end; ++it) {
      ++found;
      CHECK_MESSAGE(names.contains((*it)[1].str()), (*it)[1].str());
    }
  }
  CHECK(found > 60);
}

TEST_CASE("the schema names the presets there are") {
  std::set<std::string> named;
  for (auto const& name : schema().at("oneOf").at(0).at("enum").as_array()) named.emplace(name.as_string());
  CHECK(named == std::set<std::string>(kPresetNames.begin(), kPresetNames.end()));
}

TEST_CASE("every key is in the reference") {
  auto const page = read("docs/policy.md");
  for (auto const& path : schema_paths()) CHECK_MESSAGE(page.find("| `" + path + "` |") != std::string::npos, path);
}
