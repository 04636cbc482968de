#include "core/trust/updater.hpp"

#include "core/trust/trusted_set.hpp"

#include <fmt/format.h>

#include <set>

namespace fleet::trust {
namespace {

/// A role's name as part of a file name: everything but unreserved characters is percent-encoded (CVE-2026-24686).
std::string file_name(std::string const& role) {
  std::string out;
  for (char const c : role) {
    bool const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out == "." || out == ".." ? "%2E" + out.substr(1) : out;
}

bool same_keys(KeySet const& a, KeySet const& b) { return a.keys == b.keys && a.threshold == b.threshold; }

}  // namespace

struct Updater::State {
  MetadataStore& store;
  Fetcher& fetcher;
  Limits limits;
  TrustedSet trusted;

  Result<void> root_chain();
  Result<void> timestamp();
  Result<void> snapshot();
  Result<Targets const*> targets(std::string const& role, std::string const& delegator);
  /// Kept bytes of a role, where they are still good; every fault of them only means that they are fetched.
  template <class Use>
  bool use_kept(std::string const& role, Use const& use) {
    auto const kept = store.load(file_name(role));
    return kept && *kept && use(**kept).has_value();
  }
  [[nodiscard]] std::string versioned(std::int64_t version, std::string const& role) const {
    return trusted.root().consistent_snapshot ? fmt::format("{}.{}.json", version, file_name(role)) : file_name(role) + ".json";
  }
};

Result<Digest> Target::sha256() const {
  auto const found = hashes.find("sha256");
  if (found == hashes.end()) return Error{Kind::bad_input, "no_sha256", fmt::format("target {} has no sha256", path)};
  return Digest::parse(found->second);
}

Updater::Updater(std::unique_ptr<State> state) : state_(std::move(state)) {}
Updater::Updater(Updater&&) noexcept = default;
Updater& Updater::operator=(Updater&&) noexcept = default;
Updater::~Updater() = default;

Result<void> Updater::init(MetadataStore& store, BytesView root) {
  FLEET_CHECK(TrustedSet::create(root, SysTime{}, {}));
  return store.save("root", root);
}

Result<Updater> Updater::load(MetadataStore& store, Fetcher& fetcher, SysTime start, Limits const& limits) {
  FLEET_TRY(auto const root, store.load("root"));
  if (!root) return Error{Kind::not_found, "no_root", "there is no trusted root yet", "enrol, or give one to trust"};
  FLEET_TRY(auto trusted, TrustedSet::create(*root, start, limits));
  return Updater(std::unique_ptr<State>(new State{store, fetcher, limits, std::move(trusted)}));
}

/// 5.3: every root up to the newest, each persisted before the next is asked for; expiry last.
Result<void> Updater::State::root_chain() {
  auto const before = trusted.root().roles;
  for (int i = 0; i < limits.root_rotations; ++i) {
    auto const raw = fetcher.fetch(fmt::format("{}.root.json", trusted.root().version + 1), limits.root_bytes);
    if (!raw && raw.error().kind == Kind::not_found) break;
    if (!raw) return raw.error();
    FLEET_CHECK(trusted.update_root(*raw));
    FLEET_CHECK(store.save("root", *raw));
  }
  FLEET_CHECK(trusted.check_root_expiry());
  auto const& now = trusted.root().roles;
  // 5.3.11: recovery from a fast-forward attack.
  bool const rotated = !same_keys(before.at("timestamp"), now.at("timestamp")) || !same_keys(before.at("snapshot"), now.at("snapshot"));
  if (rotated)
    for (auto const* const role : {"timestamp", "snapshot"})
      if (auto const removed = store.remove(role); !removed && removed.error().kind != Kind::not_found) return removed.error();
  return {};
}

/// 5.4. A kept timestamp only bounds what may follow; it is persisted when it is newer and not expired.
Result<void> Updater::State::timestamp() {
  use_kept("timestamp", [this](Bytes const& kept) { return trusted.update_timestamp(kept); });
  FLEET_TRY(auto const raw, fetcher.fetch("timestamp.json", limits.timestamp_bytes));
  FLEET_TRY(bool const newer, trusted.update_timestamp(raw));
  FLEET_CHECK(trusted.check_timestamp_expiry());
  return newer ? store.save("timestamp", raw) : Result<void>{};
}

/// 5.5. A kept snapshot, even an old one, bounds the versions of the next.
Result<void> Updater::State::snapshot() {
  use_kept("snapshot", [this](Bytes const& kept) { return trusted.update_snapshot(kept, true); });
  if (trusted.snapshot() && trusted.check_snapshot()) return {};
  auto const& meta = trusted.timestamp()->snapshot;
  FLEET_TRY(auto const raw, fetcher.fetch(versioned(meta.version, "snapshot"), meta.length.value_or(limits.snapshot_bytes)));
  FLEET_CHECK(trusted.update_snapshot(raw, false));
  FLEET_CHECK(trusted.check_snapshot());
  return store.save("snapshot", raw);
}

Result<Targets const*> Updater::State::targets(std::string const& role, std::string const& delegator) {
  Targets const* out = nullptr;
  use_kept(role, [&](Bytes const& kept) -> Result<void> {
    FLEET_TRY(out, trusted.update_targets(kept, role, delegator));
    return {};
  });
  if (out != nullptr) return out;
  FLEET_TRY(auto const meta, trusted.meta_of(role));
  FLEET_TRY(auto const raw, fetcher.fetch(versioned(meta.version, role), meta.length.value_or(limits.targets_bytes)));
  FLEET_TRY(out, trusted.update_targets(raw, role, delegator));
  FLEET_CHECK(store.save(file_name(role), raw));
  return out;
}

Result<void> Updater::refresh_root() { return state_->root_chain(); }

Result<void> Updater::refresh() {
  FLEET_CHECK(state_->root_chain());
  FLEET_CHECK(state_->timestamp());
  FLEET_CHECK(state_->snapshot());
  FLEET_CHECK(state_->targets("targets", "root"));
  return {};
}

/// 5.6.7: pre-order, depth first; each role once; a terminating delegation ends the search.
Result<std::optional<Target>> Updater::find(std::string const& path) {
  std::vector<std::pair<std::string, std::string>> open{{"targets", "root"}};
  std::set<std::string> visited;
  while (!open.empty() && visited.size() <= static_cast<std::size_t>(state_->limits.delegations)) {
    auto const [role, delegator] = open.back();
    open.pop_back();
    if (!visited.insert(role).second) continue;
    FLEET_TRY(auto const* const file, state_->targets(role, delegator));
    if (auto const found = file->targets.find(path); found != file->targets.end()) return std::optional(found->second);
    std::vector<std::pair<std::string, std::string>> next;
    bool ends = false;
    for (auto const& [name, terminating] : file->roles_for(path)) {
      next.emplace_back(name, role);
      ends = terminating;
      if (ends) break;
    }
    if (ends) open.clear();  // CVE-2025-2886
    open.insert(open.end(), next.rbegin(), next.rend());
  }
  return std::optional<Target>();
}

KeySet Updater::role_keys(std::string const& role) const {
  auto const found = state_->trusted.root().roles.find(role);
  return found == state_->trusted.root().roles.end() ? KeySet{} : found->second;
}
std::int64_t Updater::root_version() const { return state_->trusted.root().version; }
bool Updater::consistent_snapshot() const { return state_->trusted.root().consistent_snapshot; }
SysTime Updater::root_expires() const { return state_->trusted.root().expires; }

Result<void> verify_target(Target const& target, BytesView bytes) { return verify_bytes("target " + target.path, bytes, target.length, target.hashes); }

}  // namespace fleet::trust
