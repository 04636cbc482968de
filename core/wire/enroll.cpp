#include "core/wire/device.hpp"
#include "core/wire/json.hpp"

#include <boost/json/serialize.hpp>

namespace fleet::wire {
namespace json = boost::json;

Result<EnrollRequest> decode_enroll_request(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kEnrollBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  EnrollRequest out;
  out.token = reader.text("token", 256, {});
  out.csr = reader.required_text("csr", 16 * 1024);
  out.id = reader.text("id", 128, {});
  out.hardware = reader.text("hardware", 128, {});
  for (auto& [key, fact] : reader.text_map("reported", 64, 256)) out.reported.emplace(std::move(key), std::move(fact));
  out.wrap_key = reader.text("wrap_key", 1024, {});
  FLEET_CHECK(no_faults(faults, "enrolment"));
  return out;
}

std::string encode(EnrollRequest const& message) {
  json::object reported;
  for (auto const& [key, fact] : message.reported) reported[key] = fact;
  json::object out{{"token", message.token}, {"csr", message.csr}, {"hardware", message.hardware}, {"reported", std::move(reported)}};
  if (!message.id.empty()) out["id"] = message.id;
  if (!message.wrap_key.empty()) out["wrap_key"] = message.wrap_key;
  return json::serialize(out);
}

Result<EnrollResponse> decode_enroll_response(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, 4 * 1024 * 1024));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  EnrollResponse out;
  out.id = reader.required_text("id", 128);
  out.certificate = reader.text("certificate", 64 * 1024, {});
  out.ca = reader.text("ca", 256 * 1024, {});
  out.tuf_root = reader.text("tuf_root", 1024 * 1024, {});
  out.directive_root = reader.text("directive_root", 1024 * 1024, {});
  out.state = reader.required_text("state", 32);
  out.hardware = reader.text("hardware", 128, {});
  FLEET_CHECK(no_faults(faults, "enrolment"));
  return out;
}

std::string encode(EnrollResponse const& message) {
  return json::serialize(json::object{{"id", message.id},
                                      {"certificate", message.certificate},
                                      {"ca", message.ca},
                                      {"tuf_root", message.tuf_root},
                                      {"directive_root", message.directive_root},
                                      {"state", message.state},
                                      {"hardware", message.hardware}});
}

Result<CaAnnouncement> decode_ca(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kCaBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  CaAnnouncement out;
  out.version = reader.required_integer("version", 1, std::int64_t{1} << 53);
  out.certificates = reader.required_text("certificates", kCaBytesMax);
  FLEET_CHECK(no_faults(faults, "announcement of CAs"));
  return out;
}

std::string encode(CaAnnouncement const& message) {
  return json::serialize(json::object{{"version", message.version}, {"certificates", message.certificates}});
}

std::string encode_renewal(std::string_view csr_pem) { return json::serialize(json::object{{"csr", csr_pem}}); }

}  // namespace fleet::wire
