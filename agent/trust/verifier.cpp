#include "agent/trust/verifier.hpp"

#include "agent/store/spare_file.hpp"
#include "core/base/log.hpp"
#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "core/trust/dsse.hpp"
#include "core/wire/json.hpp"
#include "core/wire/runtime_rule.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::agent {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kToldSpare = 64 * 1024;

/// A restored server leaps to Unix seconds (docs/protocol.md, Restore). More than that at once is no server of ours, and would leave no room above.
constexpr std::int64_t kSequenceLeapMax = std::int64_t{1} << 32;

Error ineligible(std::string detail) { return {Kind::unprocessable, "ineligible", std::move(detail)}; }

}  // namespace

Result<void> check_runtime(std::string const& text, wire::Labels const& reported) {
  auto const rules = wire::parse_runtime_rules(text);
  if (!rules) return ineligible(rules.error().detail);
  for (auto const& rule : *rules) {
    auto const found = reported.find(rule.runtime);
    if (found == reported.end()) return ineligible(fmt::format("runtime {} is not reported by this device", rule.runtime));
    if (!wire::holds(rule, found->second)) return ineligible(fmt::format("runtime {} is {} here, {} is needed", rule.runtime, found->second, rule.text));
  }
  return {};
}

Result<Told> load_told(Fs& fs, std::string const& path) {
  auto const text = fs.read(path, wire::kDirectiveBytesMax);
  if (!text && text.error().kind == Kind::not_found) return Told{};
  if (!text) return text.error();
  FLEET_TRY(auto const value, wire::parse_json(*text, wire::kDirectiveBytesMax));
  std::vector<FieldError> faults;
  wire::ObjectReader reader(value, "", faults);
  Told out;
  out.sequence = reader.required_integer("sequence", 0, std::int64_t{1} << 53);
  out.act_before = reader.time("act_before").value_or(SysTime{});
  auto const* const targets = reader.array("targets", 64);
  auto const* const collect = reader.find("collect");
  FLEET_CHECK(wire::no_faults(faults, "directive.json"));
  if (collect != nullptr) {
    FLEET_TRY(out.collect, wire::decode_collect(json::serialize(*collect)));
  }
  if (targets != nullptr) {
    FLEET_TRY(out.targets, wire::decode_targets(json::serialize(*targets)));
  }
  return out;
}

Result<void> save_told(Fs& fs, std::string const& path, Told const& told) {
  SpareFile file(fs, path, kToldSpare);
  auto const saved = file.replace(
      fmt::format(R"({{"sequence":{},"act_before":"{}","targets":{}{}{}}})", told.sequence, to_rfc3339(told.act_before), wire::encode_targets(told.targets),
                  told.collect ? R"(,"collect":)" : "", wire::encode_collect(told.collect)));
  if (saved) make_told_ready(fs, path);
  return saved;
}

void make_told_ready(Fs& fs, std::string const& path) {
  if (auto const ready = SpareFile(fs, path, kToldSpare).make_ready(); !ready) log::info("directive.no_reserve", {{"error", ready.error().detail}});
}

DirectiveVerifier::DirectiveVerifier(Fs& fs, Remote& remote, TrustedClock& clock, std::string store_dir, std::string device)
    : remote_(remote), clock_(clock), store_(fs, std::move(store_dir)), device_(std::move(device)) {}

Result<wire::Directive> DirectiveVerifier::verify(std::string const& envelope, std::string const& nonce, Told const& last) {
  // Its own time is not known before it is opened, and the floor's word is older than this poll: it is judged at its time below.
  FLEET_TRY(auto const payload, open_by_directive_root(store_, remote_, clock_.unaided(), envelope, wire::kDirectivePayloadType));
  FLEET_TRY(auto directive, wire::decode_directive(as_text(payload)));
  if (directive.device != device_)
    return Error{Kind::forbidden, "foreign_directive", fmt::format("the directive is for device '{}', this is '{}'", directive.device, device_)};
  if (directive.nonce != nonce) return Error{Kind::conflict, "replayed", "the directive does not answer this poll: its nonce is another"};
  FLEET_CHECK(check_new(directive, last));
  auto const at = std::max(clock_.unaided(), directive.issued_at);
  if (at >= directive.expires) return Error{Kind::expired, "directive_expired", fmt::format("the directive expired {}", to_rfc3339(directive.expires))};
  // Signed at a time at which its root is expired, it is signed by nobody.
  FLEET_CHECK(open_by_directive_root(store_, remote_, at, envelope, wire::kDirectivePayloadType));
  if (auto const kept = clock_.set_floor(directive.issued_at); !kept) log::warn("time.not_kept", {{"error", kept.error().detail}});
  return directive;
}

Result<void> DirectiveVerifier::check_new(wire::Directive const& directive, Told const& last) const {
  // A key says nothing of what is wanted, and one may be withheld since.
  auto const without_keys = [](std::vector<wire::DirectiveTarget> targets) {
    for (auto& target : targets) target.key.clear();
    return targets;
  };
  bool const same = directive.sequence == last.sequence && without_keys(directive.targets) == without_keys(last.targets) && directive.collect == last.collect;
  if (directive.sequence <= last.sequence && !same)
    return Error{Kind::conflict, "replayed", fmt::format("directive {} is not above {}, the last accepted", directive.sequence, last.sequence)};
  if (directive.sequence - last.sequence > kSequenceLeapMax)
    return Error{Kind::conflict, "sequence_leap", fmt::format("directive {} is too far above {}, the last accepted", directive.sequence, last.sequence)};
  return {};
}

Result<wire::Directive> DirectiveVerifier::verify_bundled(std::string const& envelope, trust::Fetcher& roots, Told const& last) {
  FLEET_TRY(auto const payload, open_by_directive_root(store_, roots, clock_.now(), envelope, wire::kDirectivePayloadType));
  FLEET_TRY(auto directive, wire::decode_directive(as_text(payload)));
  if (directive.device != device_)
    return Error{Kind::forbidden, "foreign_directive", fmt::format("the directive is for device '{}', this is '{}'", directive.device, device_)};
  if (!directive.nonce.empty()) return Error{Kind::conflict, "replayed", "the directive answers a poll: it is none of a bundle"};
  auto const fresh = check_new(directive, last);
  if (!fresh) {
    auto error = fresh.error();
    error.hint = "the server told this device something since: export a new bundle";
    return error;
  }
  auto const at = std::max(clock_.now(), directive.issued_at);
  if (at >= directive.expires) return Error{Kind::expired, "directive_expired", fmt::format("the bundle expired {}, it is {}", to_rfc3339(directive.expires), to_rfc3339(at)), "export a new bundle"};
  FLEET_CHECK(open_by_directive_root(store_, roots, at, envelope, wire::kDirectivePayloadType));
  if (directive.sequence == last.sequence) return directive;
  if (auto const kept = clock_.set_floor(directive.issued_at); !kept) log::warn("time.not_kept", {{"error", kept.error().detail}});
  return directive;
}

Result<std::string> RemoteReleases::document(std::string const& model, std::string const& version, std::string const& digest) {
  auto const path = fmt::format("/device/v1/tuf/targets/models/{}/{}/{}.release.json", model, net::percent_encode(version), digest);
  FLEET_TRY(auto response, remote_.get(path, wire::kReleaseBytesMax));
  return std::move(response.body);
}

Result<std::string> BundledReleases::document(std::string const& model, std::string const& version, std::string const& digest) {
  return bundle_->read(fmt::format("{}targets/models/{}/{}/{}.release.json", bundle::kMetadata, model, version, digest), wire::kReleaseBytesMax);
}

Result<std::string> version_of_path(std::string const& model, std::string const& path) {
  auto const prefix = "models/" + model + "/";
  constexpr std::string_view kSuffix = "/release.json";
  if (!path.starts_with(prefix) || !path.ends_with(kSuffix) || path.size() <= prefix.size() + kSuffix.size())
    return Error{Kind::bad_input, "bad_path", fmt::format("'{}' is no release.json of model {}", path, model)};
  auto version = path.substr(prefix.size(), path.size() - prefix.size() - kSuffix.size());
  if (auto const named = check_version_name(version); !named) return Error{Kind::bad_input, "bad_path", named.error().detail};
  return version;
}

Result<VerifiedRelease> fetch_release(Fs& fs, ReleaseSource& source, TrustedClock const& clock, std::string const& store_dir, wire::DirectiveTarget const& target) {
  FLEET_TRY(auto const version, version_of_path(target.model, target.path));
  FolderStore store(fs, store_dir);
  FLEET_TRY(auto updater, trust::Updater::load(store, source.metadata(), clock.now(), {}, source.fresh_at()));
  FLEET_CHECK(updater.refresh());
  FLEET_TRY(auto const found, updater.find(target.path));
  if (!found) return Error{Kind::signature, "not_signed", fmt::format("no trusted role signs {}", target.path), "was the release approved, or is it revoked?"};
  if (found->length != target.length || found->hashes != target.hashes)
    return Error{Kind::signature, "chains_disagree", fmt::format("directive and release metadata disagree on {}", target.path)};
  FLEET_TRY(auto const digest, found->sha256());
  FLEET_TRY(auto const document, source.document(target.model, version, digest.hex()));
  FLEET_CHECK(trust::verify_target(*found, as_bytes(document)));
  FLEET_TRY(auto release, wire::decode_release(document));
  if (release.model != target.model || release.version != version)
    return Error{Kind::signature, "chains_disagree", fmt::format("{} holds release {}@{}", target.path, release.model, release.version)};
  return VerifiedRelease{std::move(release), document};
}

Result<void> check_eligible(wire::Release const& release, Identity const& identity, std::int64_t floor, std::uint64_t memory_bytes) {
  if (!release.is_set() && wire::find_variant(release, identity.hardware) == nullptr)  // of a set its members have them
    return ineligible(fmt::format("{}@{} has no variant for hardware {}", release.model, release.version, identity.hardware));
  auto const& match = release.manifest.match;
  if (match.memory_min_bytes > memory_bytes)
    return ineligible(fmt::format("{} bytes of memory are needed, this device has {}", match.memory_min_bytes, memory_bytes));
  if (!match.runtime.empty()) FLEET_CHECK(check_runtime(match.runtime, identity.reported));
  return check_floor(release, floor);
}

Result<void> check_floor(wire::Release const& release, std::int64_t floor) {
  if (release.release_counter < floor)
    return Error{Kind::conflict, "below_floor",
                 fmt::format("{}@{} has counter {}, below the floor {}", release.model, release.version, release.release_counter, floor)};
  return {};
}

}  // namespace fleet::agent
