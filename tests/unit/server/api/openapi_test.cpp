#include "server/api/openapi.hpp"
#include "core/wire/json.hpp"
#include "server/access/roles.hpp"
#include "server/api/route.hpp"
#include "tests/unit/server/registry/result_printer.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

namespace fleet::api {
namespace {

/// `GET /devices/{}`: what a route and an operation are compared by. A `{rest...}` is one parameter to the document.
std::string normal(std::string_view method, std::string_view path) {
  std::string out;
  for (auto const c : method) out += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  out += ' ';
  bool inside = false;
  for (auto const c : path) {
    if (c == '}') inside = false;
    if (!inside) out += c;
    if (c == '{') inside = true;
  }
  return out;
}

boost::json::value document() {
  auto parsed = wire::parse_json(openapi_json(), 4 * 1024 * 1024);
  REQUIRE(parsed);
  return *parsed;
}

std::map<std::string, std::string> documented() {
  std::map<std::string, std::string> out;
  auto const root = document();
  for (auto const& path : root.at("paths").as_object()) {
    for (auto const& operation : path.value().as_object()) {
      if (operation.key() == "parameters") continue;
      out.emplace(normal(operation.key(), path.key()), std::string(operation.value().at("x-permission").as_string()));
    }
  }
  return out;
}

std::map<std::string, std::string> routed() {
  std::map<std::string, std::string> out;
  for (auto const* table : {&system_routes(), &audit_routes(), &trust_routes(), &registry_routes(), &group_routes(), &catalog_routes(), &rollout_routes(), &simulation_routes(),
                            &delivery_routes(), &bundle_routes(), &support_routes(), &telemetry_routes(), &cost_routes(), &node_routes()}) {
    for (auto const& route : *table) out.emplace(normal(net::to_string(route.method), route.pattern), std::string(to_string(route.permission)));
  }
  return out;
}

TEST_CASE("the routes and the document agree, both ways, on path, method and permission") {
  auto const in_document = documented(), in_tables = routed();
  for (auto const& [route, permission] : in_tables) {
    CAPTURE(route);
    auto const found = in_document.find(route);
    CHECK_MESSAGE(found != in_document.end(), "served, but not in schema/openapi.yaml");
    if (found != in_document.end()) CHECK(found->second == permission);
  }
  for (auto const& [route, permission] : in_document) {
    CAPTURE(route);
    CHECK_MESSAGE(in_tables.contains(route), "in schema/openapi.yaml, but not served");
  }
}

/// Every `$ref` below a value.
void collect(boost::json::value const& value, std::set<std::string>& out) {
  if (value.is_array()) {
    for (auto const& item : value.get_array()) collect(item, out);
  }
  if (!value.is_object()) return;
  for (auto const& member : value.get_object()) {
    if (member.key() == "$ref") {
      out.emplace(member.value().as_string());
    } else {
      collect(member.value(), out);
    }
  }
}

/// Members without a value: what a comma or a colon in a text without quotes makes in a flow mapping.
void collect_empty(boost::json::value const& value, std::string const& at, std::set<std::string>& out) {
  if (auto const* const list = value.if_array())
    for (auto const& item : *list) collect_empty(item, at + "/-", out);
  if (auto const* const object = value.if_object()) {
    for (auto const& member : *object) {
      auto const key = std::string(member.key());
      if (member.value().is_null() && key != "default" && key != "example") out.insert(at + "/" + key);
      if (key != "example" && key != "examples") collect_empty(member.value(), at + "/" + key, out);
    }
  }
}

TEST_CASE("no text of the document is cut by its own comma") {
  std::set<std::string> empty;
  collect_empty(document(), "", empty);
  CHECK_MESSAGE(empty.empty(), (empty.empty() ? "" : *empty.begin()));
}

TEST_CASE("the document is of OpenAPI 3.1, its references lead somewhere, its operation ids are unique") {
  auto const root = document();
  CHECK(root.at("openapi") == "3.1.0");
  std::set<std::string> references, ids;
  collect(root, references);
  CHECK(references.size() > 50);
  for (auto const& reference : references) {
    CAPTURE(reference);
    REQUIRE(reference.starts_with("#/"));
    boost::system::error_code missing;
    CHECK(root.find_pointer(reference.substr(1), missing) != nullptr);
  }
  for (auto const& path : root.at("paths").as_object()) {
    for (auto const& operation : path.value().as_object()) {
      if (operation.key() == "parameters") continue;
      CHECK(ids.emplace(operation.value().at("operationId").as_string()).second);
    }
  }
}

}  // namespace
}  // namespace fleet::api
