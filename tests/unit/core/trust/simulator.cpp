#include "tests/unit/core/trust/simulator.hpp"

#include "core/trust/canonical.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace fleet::trust::simulator {

namespace json = boost::json;

std::string edited(std::string const& file, SigningKey const& key, std::string_view pointer, std::string_view value) {
  auto content = json::parse(file).at("signed");
  auto const slash = pointer.rfind('/');
  auto& parent = content.at_pointer(pointer.substr(0, slash)).as_object();
  auto const member = pointer.substr(slash + 1);
  if (value.empty()) parent.erase(member);
  else parent[member] = json::parse(value);
  auto const signature = to_hex(key.sign(as_bytes(canonical(content))));
  json::array const signatures{json::object{{"keyid", key.key_id()}, {"sig", signature}}};
  return canonical(json::object{{"signed", content}, {"signatures", signatures}});
}

}  // namespace fleet::trust::simulator
