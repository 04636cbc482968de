#include "core/wire/receipt.hpp"

#include "core/wire/json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::wire {
namespace json = boost::json;
namespace {

constexpr std::size_t kIdMax = 128, kKeyMax = 4096;
constexpr std::int64_t kSequenceMax = std::int64_t{1} << 53;

}  // namespace

Result<Receipt> decode_receipt(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kReceiptPayloadMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  Receipt out;
  out.device = reader.required_text("device", kIdMax);
  out.directive_sequence = reader.required_integer("directive_sequence", 0, kSequenceMax);
  out.made_at = reader.time("made_at").value_or(SysTime{});
  auto const* const report = reader.find("report");
  if (report == nullptr) reader.fault("report", "is required");
  FLEET_CHECK(no_faults(faults, "receipt"));
  FLEET_TRY(out.report, decode_report(json::serialize(*report)));
  return out;
}

std::string encode(Receipt const& message) {
  return json::serialize(json::object{{"device", message.device},
                                      {"directive_sequence", message.directive_sequence},
                                      {"made_at", to_rfc3339(message.made_at)},
                                      {"report", json::parse(encode(message.report))}});
}

Result<SignedReceipt> decode_signed_receipt(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kReceiptBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  SignedReceipt out;
  out.device = reader.required_text("device", kIdMax);
  out.key = reader.required_text("key", kKeyMax);
  out.envelope = reader.required_text("receipt", kReceiptBytesMax);
  reader.refuse_unknown();
  FLEET_CHECK(no_faults(faults, "receipt"));
  return out;
}

std::string encode(SignedReceipt const& message) {
  return json::serialize(json::object{{"device", message.device}, {"key", message.key}, {"receipt", message.envelope}});
}

}  // namespace fleet::wire
