#include "core/trust/evidence.hpp"

#include "core/trust/audit_chain.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace fleet::trust {
namespace json = boost::json;
namespace {

constexpr std::size_t kSignersMax = 64, kDemandsMax = 32, kNameMax = 256, kPatternsMax = 32;
constexpr auto kKindNames = std::to_array<std::string_view>({"provenance", "test-result", "file-manifest", "bom"});
constexpr auto kMembers = std::to_array<std::string_view>({"kind", "signers", "threshold", "dataset", "metric", "min", "max", "subjects", "binds"});
constexpr auto kBindings = std::to_array<std::string_view>({"release", "hardware", "executable"});

/// A TUF key object, or a key in PEM, as cosign and openssl write it: ECDSA P-256 or Ed25519.
Result<crypto::PublicKey> read_key(json::value const& value) {
  if (!value.is_string()) {
    FLEET_TRY(auto key, decode_public_key(json::serialize(value)));
    if (key.keytype == "ed25519") return key;
    return Error{Kind::bad_input, "bad_key", "expected an Ed25519 key object, or a key in PEM"};
  }
  return crypto::public_key_from_pem(std::string(value.get_string()));
}

class Reading {
public:
  explicit Reading(std::vector<FieldError>& faults) : faults_(faults) {}

  void signers(json::value const& value, EvidencePolicy& out) {
    auto const* const object = value.if_object();
    if (object == nullptr || object->size() > kSignersMax) return fault("/signers", fmt::format("expected an object of at most {} keys by name", kSignersMax));
    std::set<Bytes> keys;  // of two names one would be counted
    for (auto const& [name, key] : *object) {
      auto read = read_key(key);
      auto const bytes = read ? crypto::key_bytes(*read) : Result<Bytes>(read.error());
      if (bytes && !keys.insert(*bytes).second)
        fault(fmt::format("/signers/{}", std::string_view(name).substr(0, kNameMax)), "is the key of another name, too");
      if (!read || name.size() > kNameMax)
        fault(fmt::format("/signers/{}", std::string_view(name).substr(0, kNameMax)), read ? "too long a name" : read.error().detail);
      else out.signers.emplace(std::string(name), *std::move(read));
    }
  }
  void demands(json::value const& value, EvidencePolicy& out) {
    auto const* const list = value.if_array();
    if (list == nullptr || list->size() > kDemandsMax) return fault("/demands", fmt::format("expected a list of at most {} demands", kDemandsMax));
    for (std::size_t i = 0; i < list->size(); ++i) demand(fmt::format("/demands/{}", i), (*list)[i], out);
  }

private:
  void fault(std::string pointer, std::string detail) { faults_.push_back({std::move(pointer), std::move(detail)}); }
  std::string text(json::object const& object, std::string_view key, std::string const& at) {
    auto const* const value = object.if_contains(key);
    if (value == nullptr) return {};
    if (value->is_string() && value->get_string().size() <= kNameMax) return std::string(value->get_string());
    fault(fmt::format("{}/{}", at, key), fmt::format("expected a text of at most {} characters", kNameMax));
    return {};
  }
  std::optional<double> number(json::object const& object, std::string_view key, std::string const& at) {
    auto const* const value = object.if_contains(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_number() && std::isfinite(value->to_number<double>())) return value->to_number<double>();
    fault(fmt::format("{}/{}", at, key), "expected a number that is finite");
    return std::nullopt;
  }
  void demand(std::string const& at, json::value const& value, EvidencePolicy& out) {
    auto const* const object = value.if_object();
    if (object == nullptr) return fault(at, "expected an object");
    for (auto const& member : *object)
      if (std::find(kMembers.begin(), kMembers.end(), std::string_view(member.key())) == kMembers.end())
        fault(fmt::format("{}/{}", at, std::string_view(member.key()).substr(0, kNameMax)), "is not known");
    Demand one{text(*object, "kind", at),  {}, 1, text(*object, "dataset", at), text(*object, "metric", at), number(*object, "min", at),
               number(*object, "max", at), {}};
    if (std::find(kKindNames.begin(), kKindNames.end(), one.kind) == kKindNames.end())
      fault(at + "/kind", "expected provenance, test-result, file-manifest or bom");
    if (auto const* const names = object->if_contains("signers")) read_names(at + "/signers", *names, out, one);
    if (auto const* const patterns = object->if_contains("subjects")) read_subjects(at + "/subjects", *patterns, one);
    if (auto const* const names = object->if_contains("binds")) read_binds(at + "/binds", *names, one);
    auto const threshold = number(*object, "threshold", at).value_or(1);
    auto const able = one.signers.empty() ? out.signers.size() : one.signers.size();
    if (threshold < 1 || threshold > static_cast<double>(able) || threshold != std::floor(threshold))
      fault(at + "/threshold", fmt::format("expected 1 to {}, the signers there are", able));
    else one.threshold = static_cast<int>(threshold);
    bool const measures = one.min || one.max;
    if (measures == one.metric.empty()) fault(at + "/metric", "a metric goes with min, max or both");
    if (!one.metric.empty() && one.kind != "test-result") fault(at + "/metric", "only a test-result has metrics");
    if (!one.dataset.empty() && one.kind != "test-result" && one.kind != "provenance") fault(at + "/dataset", "only test-result and provenance name data sets");
    constexpr std::string_view kDigest = "sha256:";
    if (one.dataset.starts_with(kDigest)) one.dataset.erase(0, kDigest.size());
    out.demands.push_back(std::move(one));
  }
  void read_names(std::string const& at, json::value const& value, EvidencePolicy const& policy, Demand& out) {
    auto const* const list = value.if_array();
    if (list == nullptr) return fault(at, "expected a list of names");
    for (auto const& name : *list) {
      auto const* const one = name.if_string();
      if (one == nullptr || !policy.signers.contains(std::string(*one))) fault(at, "names somebody who is not among the signers");
      else if (std::find(out.signers.begin(), out.signers.end(), std::string_view(*one)) != out.signers.end()) fault(at, "names somebody twice");
      else out.signers.emplace_back(*one);
    }
  }
  void read_subjects(std::string const& at, json::value const& value, Demand& out) {
    auto const* const list = value.if_array();
    bool const fine = list != nullptr && !list->empty() && list->size() <= kPatternsMax &&
                      std::all_of(list->begin(), list->end(), [](auto const& one) { return one.is_string() && one.get_string().size() <= kNameMax; });
    if (!fine) return fault(at, fmt::format("expected a list of 1 to {} patterns of file names", kPatternsMax));
    if (out.kind == "file-manifest") return fault(at, "a file-manifest speaks of all files");
    for (auto const& one : *list) out.subjects.emplace_back(one.get_string());
  }
  void read_binds(std::string const& at, json::value const& value, Demand& out) {
    auto const* const list = value.if_array();
    if (list == nullptr) return fault(at, "expected a list");
    for (auto const& one : *list) {
      auto const* const name = one.if_string();
      bool const known = name != nullptr && std::find(kBindings.begin(), kBindings.end(), std::string_view(*name)) != kBindings.end();
      if (!known) fault(at, "expected release, hardware or executable");
      else out.binds.emplace(*name);
    }
  }
  std::vector<FieldError>& faults_;
};

json::object demand_json(Demand const& demand) {
  json::object out{{"kind", demand.kind}, {"threshold", demand.threshold}};
  if (!demand.signers.empty()) out["signers"] = json::array(demand.signers.begin(), demand.signers.end());
  if (!demand.dataset.empty()) out["dataset"] = demand.dataset;
  if (!demand.metric.empty()) out["metric"] = demand.metric;
  if (demand.min) out["min"] = *demand.min;
  if (demand.max) out["max"] = *demand.max;
  if (!demand.subjects.empty()) out["subjects"] = json::array(demand.subjects.begin(), demand.subjects.end());
  if (!demand.binds.empty()) out["binds"] = json::array(demand.binds.begin(), demand.binds.end());
  return out;
}

}  // namespace

Result<EvidencePolicy> decode_evidence_policy(std::string_view text) {
  boost::system::error_code fault;
  auto const value = json::parse(text, fault);
  auto const* const object = fault ? nullptr : value.if_object();
  if (object == nullptr) return Error{Kind::bad_input, "bad_json", "evidence: expected an object"};
  EvidencePolicy out;
  Error wrong{Kind::bad_input, "bad_evidence", "what is demanded of a model's releases is wrong"};
  Reading reading(wrong.errors);
  if (auto const* const signers = object->if_contains("signers")) reading.signers(*signers, out);
  if (auto const* const demands = object->if_contains("demands")) reading.demands(*demands, out);
  if (!wrong.errors.empty()) return wrong;
  return out;
}

std::string encode(EvidencePolicy const& policy) {
  json::object signers;
  for (auto const& [name, key] : policy.signers) {
    if (key.keytype == "ed25519") signers[name] = json::parse(encode(key));
    else signers[name] = key.value;
  }
  json::array demands;
  for (auto const& demand : policy.demands) demands.push_back(demand_json(demand));
  return json::serialize(json::object{{"signers", std::move(signers)}, {"demands", std::move(demands)}});
}

}  // namespace fleet::trust
