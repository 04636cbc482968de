#include "agent/store/identity.hpp"

#include "agent/store/kept_dirs.hpp"
#include "core/crypto/private_key.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>

namespace fleet::agent {
namespace {

constexpr std::size_t kBytesMax = 256 * 1024;
constexpr unsigned kOwnerOnly = 0600;
constexpr char kWrapKey[] = "/wrap-key.pem";

}  // namespace

Result<Identity> load_identity(Fs& fs, Layout const& layout) {
  auto const dir = layout.identity();
  auto const text = fs.read(dir + "/identity.json", kBytesMax);
  if (!text && text.error().kind == Kind::not_found)
    return Error{Kind::not_found, "not_enrolled", fmt::format("{} is not enrolled", layout.root),
                 "fleet-agent enroll --root DIR --server URL --ca FILE --token-file FILE"};
  if (!text) return text.error();
  FLEET_TRY(auto const value, wire::parse_json(*text, kBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  Identity out;
  out.id = reader.required_text("id", 128);
  out.hardware = reader.required_text("hardware", 128);
  out.servers = reader.texts("servers", 8, 1024);
  for (auto& [key, fact] : reader.text_map("reported", 64, 256)) out.reported.emplace(std::move(key), std::move(fact));
  out.private_key = reader.text("key", 256, {});
  out.wrap_key = reader.text("wrap_key", 256, {});
  FLEET_CHECK(wire::no_faults(faults, "identity.json"));
  if (out.private_key.empty()) {
    FLEET_TRY(out.private_key, fs.read(dir + "/key.pem", kBytesMax));
  }
  if (out.wrap_key.empty()) {
    auto wrap_key = fs.read(dir + kWrapKey, kBytesMax);
    if (wrap_key) out.wrap_key = std::move(*wrap_key);
    else if (wrap_key.error().kind != Kind::not_found) return wrap_key.error();
  }
  FLEET_TRY(out.ca, fs.read(dir + "/ca.pem", kBytesMax));
  auto certificate = fs.read(dir + "/certificate.pem", kBytesMax);
  if (certificate) out.certificate = std::move(*certificate);
  else if (certificate.error().kind != Kind::not_found) return certificate.error();
  return out;
}

Result<void> save_identity(Fs& fs, Layout const& layout, Identity const& identity) {
  auto const dir = layout.identity();
  bool const in_device = crypto::is_key_uri(identity.private_key);
  boost::json::object reported;
  for (auto const& [key, fact] : identity.reported) reported[key] = fact;
  boost::json::object object{{"id", identity.id},
                             {"hardware", identity.hardware},
                             {"servers", boost::json::array(identity.servers.begin(), identity.servers.end())},
                             {"reported", std::move(reported)}};
  if (in_device) object["key"] = identity.private_key;
  bool const wraps_in_device = crypto::is_key_uri(identity.wrap_key);
  if (wraps_in_device) object["wrap_key"] = identity.wrap_key;
  FLEET_CHECK(make_kept_dirs(fs, layout.root, dir, 0700));
  if (!in_device) FLEET_CHECK(fs.replace(dir + "/key.pem", identity.private_key, kOwnerOnly));
  if (!wraps_in_device && !identity.wrap_key.empty()) FLEET_CHECK(fs.replace(dir + kWrapKey, identity.wrap_key, kOwnerOnly));
  FLEET_CHECK(save_ca(fs, layout, identity.ca));
  FLEET_CHECK(fs.replace(dir + "/identity.json", boost::json::serialize(object)));
  if (!identity.certificate.empty()) FLEET_CHECK(fs.replace(dir + "/certificate.pem", identity.certificate));
  return {};
}

Result<void> save_ca(Fs& fs, Layout const& layout, std::string const& ca) { return fs.replace(layout.identity() + "/ca.pem", ca); }

}  // namespace fleet::agent
