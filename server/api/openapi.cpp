#include "server/api/openapi.hpp"

#include "core/wire/yaml.hpp"

#include <stdexcept>

namespace fleet::api {
namespace {

constexpr std::string_view kYaml =
#include "server/api/openapi.inc"
    ;

}  // namespace

std::string const& openapi_json() {
  static std::string const text = [] {
    auto converted = wire::read_yaml(kYaml);
    if (!converted) throw std::logic_error("schema/openapi.yaml: " + converted.error().detail);
    return std::move(converted->json);
  }();
  return text;
}

}  // namespace fleet::api
