#include "core/wire/device.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::wire {
namespace json = boost::json;
namespace {

ModelStatus read_status(json::value const& value, std::string pointer, std::vector<FieldError>& faults) {
  ObjectReader reader(value, std::move(pointer), faults);
  ModelStatus out;
  out.digest = reader.text("digest", 64, {});
  out.version = reader.text("version", 64, {});
  out.state = reader.text("state", 32, {});
  out.rollout = reader.text("rollout", 64, {});
  out.attempt = reader.integer("attempt", 0, 1'000'000, 0);
  out.waiting = reader.text("waiting", 64, {});
  out.to_fetch = reader.integer("to_fetch", 0, std::int64_t{1} << 53, 0);
  out.variant = reader.text("variant", 32, {});
  out.retest = reader.text("retest", 64, {});
  if (!out.digest.empty() && !Digest::parse(out.digest)) reader.fault("digest", "expected 64 hex characters, lower case");
  return out;
}

}  // namespace

Result<PollRequest> decode_poll_request(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, kPollBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  PollRequest out;
  out.nonce = reader.required_text("nonce", 24);
  out.prior = reader.text("prior", 24, {});
  out.boot_id = reader.text("boot_id", 64, {});
  out.directive_sequence = reader.integer("directive_sequence", 0, std::int64_t{1} << 53, 0);
  out.wait_s = static_cast<int>(reader.integer("wait_s", 0, 55, 0));
  out.report_every_s = static_cast<int>(reader.integer("report_every_s", 0, 31'536'000, 0));
  out.poll_every_s = static_cast<int>(reader.integer("poll_every_s", 0, 31'536'000, 0));
  if (reader.find("ca_version") != nullptr) out.ca_version = reader.integer("ca_version", 0, std::int64_t{1} << 53, 0);
  out.clock = reader.time("clock").value_or(SysTime{});
  out.agent = reader.text("agent", 64, {});
  auto const nonce = from_base64(out.nonce);
  if (!nonce || nonce->size() != 16) reader.fault("nonce", "expected 16 bytes in base64");
  if (auto const* const models = reader.find("models")) {
    auto const* const object = models->if_object();
    if (object == nullptr || object->size() > 64) reader.fault("models", "expected an object of at most 64 models");
    else
      for (auto const& member : *object)
        out.models.emplace(std::string(member.key()), read_status(member.value(), "/models/" + std::string(member.key().substr(0, 64)), faults));
  }
  FLEET_CHECK(no_faults(faults, "poll"));
  return out;
}

std::string encode(PollRequest const& message) {
  json::object models;
  for (auto const& [name, status] : message.models) {
    json::object one{{"digest", status.digest}, {"version", status.version}, {"state", status.state}, {"rollout", status.rollout}, {"attempt", status.attempt}};
    for (auto const& [key, text] : {std::pair{"waiting", &status.waiting}, {"variant", &status.variant}, {"retest", &status.retest}})
      if (!text->empty()) one[key] = *text;
    if (status.to_fetch > 0) one["to_fetch"] = status.to_fetch;
    models[name] = std::move(one);
  }
  json::object out{{"nonce", message.nonce},
                   {"prior", message.prior},
                   {"boot_id", message.boot_id},
                   {"directive_sequence", message.directive_sequence},
                   {"wait_s", message.wait_s},
                   {"report_every_s", message.report_every_s},
                   {"poll_every_s", message.poll_every_s},
                   {"clock", to_rfc3339(message.clock, true)},
                   {"agent", message.agent},
                   {"models", std::move(models)}};
  if (message.ca_version) out["ca_version"] = *message.ca_version;
  return json::serialize(out);
}

Result<PollResponse> decode_poll_response(std::string_view text) {
  FLEET_TRY(auto const value, parse_json(text, 2 * kDirectiveBytesMax));
  std::vector<FieldError> faults;
  ObjectReader reader(value, "", faults);
  PollResponse out;
  if (auto const* const directive = reader.find("directive")) out.directive = json::serialize(*directive);
  out.next_poll_s = static_cast<int>(reader.integer("next_poll_s", 0, 31'536'000, 0));
  out.renew = reader.boolean("renew", false);
  out.ca_version = reader.integer("ca_version", 0, std::int64_t{1} << 53, 0);
  out.sources = reader.texts("sources", 16, 1024);
  FLEET_CHECK(no_faults(faults, "poll answer"));
  return out;
}

std::string encode(PollResponse const& message) {
  // What is as it mostly is is left out: an idle device has 1,550 of these a day. The envelope is JSON already and its bytes are not touched.
  return fmt::format(R"({{{}"next_poll_s":{}{}{},"sources":{}}})", message.directive.empty() ? "" : fmt::format(R"("directive":{},)", message.directive), message.next_poll_s,
                     message.renew ? R"(,"renew":true)" : "", message.ca_version == 0 ? "" : fmt::format(R"(,"ca_version":{})", message.ca_version),
                     json::serialize(json::array(message.sources.begin(), message.sources.end())));
}

}  // namespace fleet::wire
