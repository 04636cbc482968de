// What trust costs: a client that verifies a cold chain, and directives signed and verified, each beside the least that the machine must do for it.
// usage: trust-speed [--targets N (10000)] [--models N (1000)] [--rounds N (20000)]
#include "core/base/random.hpp"
#include "core/crypto/hash.hpp"
#include "core/trust/compose.hpp"
#include "core/trust/dsse.hpp"
#include "core/wire/device.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <tuple>

namespace {

using namespace fleet;
using crypto::SigningKey;
using SteadyClock = std::chrono::steady_clock;

SysTime const kNow = from_unix_ms(1'800'000'000'000);
SysTime const kFar = kNow + std::chrono::hours(24 * 300);
constexpr std::string_view kDirectiveType = "application/vnd.fleet.directive+json";

struct Memory final : trust::MetadataStore, trust::Fetcher {
  std::map<std::string, std::string> remote;
  std::map<std::string, Bytes> kept;
  Result<std::optional<Bytes>> load(std::string const& role) override { return kept.contains(role) ? std::optional(kept.at(role)) : std::nullopt; }
  Result<void> save(std::string const& role, BytesView bytes) override {
    kept[role] = Bytes(bytes.begin(), bytes.end());
    return {};
  }
  Result<void> remove(std::string const& role) override {
    kept.erase(role);
    return {};
  }
  Result<Bytes> fetch(std::string const& name, std::uint64_t) override {
    auto const found = remote.find(name);
    if (found == remote.end()) return Error{Kind::not_found, "no_file", name};
    return Bytes(found->second.begin(), found->second.end());
  }
};

std::string path_of(int model, int version) { return fmt::format("models/model-{}/{}.0.0/release.json", model, version); }

std::vector<trust::Target> targets_of(int model, int count) {
  std::vector<trust::Target> out;
  for (int i = 0; i < count; ++i) out.push_back({path_of(model, i), 2000, {{"sha256", crypto::sha256(path_of(model, i)).hex()}}, ""});
  return out;
}

/// One model's role has `targets` entries, and the top-level targets delegate to `models` of them.
Memory make_repository(int targets, int models) {
  SeededRandom random(1);
  auto const key = SigningKey::generate(random);
  auto const signer = std::span(&key, 1);
  trust::RoleSpec const role{{key.public_key()}, 1};
  Memory out;
  std::vector<trust::Delegation> delegations;
  std::map<std::string, trust::MetaEntry> meta{{"targets.json", {1}}};
  for (int i = 0; i < models; ++i) {
    auto const name = fmt::format("m-model-{}", i);
    delegations.push_back({name, role, {fmt::format("models/model-{}/*/release.json", i)}, true});
    meta[name + ".json"] = {1};
  }
  out.remote["1.root.json"] = trust::compose_root({1, kFar, {{"root", role}, {"targets", role}, {"snapshot", role}, {"timestamp", role}}}, signer);
  out.remote["timestamp.json"] = trust::compose_timestamp(1, kFar, 1, signer);
  out.remote["1.snapshot.json"] = trust::compose_snapshot(1, kFar, meta, signer);
  out.remote["1.targets.json"] = trust::compose_targets(1, kFar, {}, delegations, signer);
  auto const last = fmt::format("m-model-{}", models - 1);
  out.remote[fmt::format("1.{}.json", last)] = trust::compose_targets(1, kFar, targets_of(models - 1, targets), {}, signer);
  return out;
}

double seconds_since(SteadyClock::time_point start) { return std::chrono::duration<double>(SteadyClock::now() - start).count(); }

/// The chain from nothing: root, timestamp, snapshot, targets, the model's role, one entry of it.
Result<double> cold_chain(Memory repository, int targets, int models) {
  auto const start = SteadyClock::now();
  auto const& root = repository.remote.at("1.root.json");
  FLEET_CHECK(trust::Updater::init(repository, as_bytes(root)));
  FLEET_TRY(auto updater, trust::Updater::load(repository, repository, kNow));
  FLEET_CHECK(updater.refresh());
  FLEET_TRY(auto const found, updater.find(path_of(models - 1, targets - 1)));
  if (!found) return Error{Kind::internal, "not_found", "the chain does not lead to the release"};
  return seconds_since(start);
}

wire::Directive directive_of(int sequence) {
  wire::Directive out;
  out.device = "device-000001";
  out.sequence = sequence;
  out.nonce = "AAAAAAAAAAAAAAAAAAAAAA==";
  out.issued_at = kNow;
  out.expires = kFar;
  out.act_before = kFar;
  wire::DirectiveTarget target;
  target.model = "reader";
  target.path = "models/reader/2.0.0/release.json";
  target.length = 2000;
  target.hashes = {{"sha256", crypto::sha256("release").hex()}};
  target.rollout = "r_01JABCDEFGHJKMNPQRSTVWXYZ0";
  target.attempt = 1;
  out.targets.push_back(std::move(target));
  return out;
}

Result<void> measure_chain(int targets, int models) {
  auto const repository = make_repository(targets, models);
  std::size_t bytes = 0;
  for (auto const& [name, text] : repository.remote) bytes += text.size();
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    FLEET_TRY(auto const took, cold_chain(repository, targets, models));
    best = std::min(best, took);
  }
  auto const start = SteadyClock::now();
  for (auto const& [name, text] : repository.remote) std::ignore = crypto::sha256(text);
  double const hashing = seconds_since(start);
  fmt::print("cold chain, {} targets in one role, {} models ({:.1f} MB): {:.1f} ms, {:.0f} MB/s; SHA-256 of the same bytes {:.1f} ms\n", targets, models,
             static_cast<double>(bytes) / 1e6, best * 1e3, static_cast<double>(bytes) / 1e6 / best, hashing * 1e3);
  return {};
}

Result<void> measure_directives(int rounds) {
  SeededRandom random(2);
  auto const key = SigningKey::generate(random);
  trust::KeySet keys;
  keys.keys[key.key_id()] = key.public_key();
  keys.threshold = 1;
  auto const per_second = [&](SteadyClock::time_point start) { return rounds / seconds_since(start); };
  std::vector<std::string> envelopes;
  auto start = SteadyClock::now();
  for (int i = 1; i <= rounds; ++i) envelopes.push_back(trust::make_envelope(kDirectiveType, as_bytes(wire::encode(directive_of(i))), std::span(&key, 1)));
  double const signs = per_second(start);
  start = SteadyClock::now();
  for (auto const& envelope : envelopes) {
    FLEET_TRY(auto const payload, trust::open_envelope(as_bytes(envelope), kDirectiveType, keys, 256 * 1024));
    FLEET_CHECK(wire::decode_directive(as_text(payload)));
  }
  double const verifies = per_second(start);
  auto const message = wire::encode(directive_of(1));
  auto const signature = key.sign(as_bytes(message));
  start = SteadyClock::now();
  for (int i = 0; i < rounds; ++i) std::ignore = key.sign(as_bytes(message));
  double const bare_signs = per_second(start);
  start = SteadyClock::now();
  for (int i = 0; i < rounds; ++i) FLEET_CHECK(crypto::verify(key.public_key(), as_bytes(message), signature));
  double const bare_verifies = per_second(start);
  fmt::print("directives signed a second, one core: {:.0f} ({:.2f} of Ed25519 alone, {:.0f})\n", signs, signs / bare_signs, bare_signs);
  fmt::print("directives verified and read a second: {:.0f} ({:.2f} of Ed25519 alone, {:.0f})\n", verifies, verifies / bare_verifies, bare_verifies);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, int> given{{"--targets", 10'000}, {"--models", 1'000}, {"--rounds", 20'000}};
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = std::max(1, std::atoi(argv[i + 1]));
  auto result = measure_chain(given["--targets"], given["--models"]);
  if (result) result = measure_directives(given["--rounds"]);
  if (result) return 0;
  fmt::print(stderr, "trust-speed: {}\n", result.error().detail);
  return 1;
}
