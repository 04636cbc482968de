#include "server/nodes/identity.hpp"

#include "core/wire/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>

namespace fleet::nodes {
namespace {

namespace json = boost::json;

constexpr std::size_t kFileMax = 16 * 1024, kHostsMax = 32, kHostMax = 255;
constexpr std::string_view kPrefix = "node-";

/// As it goes into statements of the database, too.
bool is_id(std::string_view id) {
  return id.starts_with(kPrefix) && id.size() <= 64 &&
         std::all_of(id.begin(), id.end(), [](char one) { return (one >= 'a' && one <= 'z') || (one >= 'A' && one <= 'Z') || (one >= '0' && one <= '9') || one == '-'; });
}

}  // namespace

Result<std::optional<Identity>> load_identity(Fs& fs, std::string const& file) {
  auto const text = fs.read(file, kFileMax);
  if (!text && text.error().kind == Kind::not_found) return std::optional<Identity>{};
  if (!text) return text.error();
  FLEET_TRY(auto const value, wire::parse_json(*text, kFileMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  Identity out{reader.required_text("id", 64), reader.texts("hosts", kHostsMax, kHostMax)};
  reader.refuse_unknown();
  if (faults.empty() && is_id(out.id)) return std::optional(std::move(out));
  return Error{Kind::corrupt, "bad_node_file", file + " is damaged", "put it away and join again: fleet-server node join"};
}

Result<void> save_identity(Fs& fs, std::string const& file, Identity const& identity) {
  json::object out{{"id", identity.id}};
  if (!identity.hosts.empty()) out["hosts"] = json::array(identity.hosts.begin(), identity.hosts.end());
  return fs.replace(file, json::serialize(out) + "\n", 0644);
}

std::string make_id(SysTime now, Random& random) { return make_ulid(kPrefix, to_unix_ms(now), random); }

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

}  // namespace fleet::nodes
