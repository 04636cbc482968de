#include "core/trust/updater.hpp"

#include "core/trust/trusted_set.hpp"

#include <fmt/format.h>

#include <algorithm>
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

/// A role to ask in a search. Its chain names every role from `targets` down to it: a role that two delegate to is two.
struct Step {
  std::string role;
  std::string chain;
  Targets const* delegator = nullptr;
};

Step first_step() { return {"targets", "targets", nullptr}; }

}  // namespace

struct Updater::State {
  MetadataStore& store;
  Fetcher& fetcher;
  Limits limits;
  TrustedSet trusted;
  std::map<std::string, Targets> judged;  ///< targets roles of this refresh, by chain
  bool refreshed = false;

  Result<void> root_chain();
  Result<void> forget(std::string const& role);
  Result<void> timestamp();
  Result<void> snapshot();
  Result<Targets const*> targets(Step const& step);
  /// Kept bytes of a role, where they are still good. Every fault of them only means that they are fetched again: a device whose
  /// flash lost a sector must heal by itself, and what it has lost is one role's bound against rollback.
  template <class Use>
  bool use_kept(std::string const& role, Use const& use) {
    auto const kept = store.load(file_name(role));
    return kept && *kept && use(**kept).has_value();
  }
  /// A role at the version that another names, of the length that it names; no more than `most_bytes` whatever is named.
  Result<Bytes> fetch(std::string const& role, FileMeta const& meta, std::uint64_t most_bytes) {
    return fetcher.fetch(versioned(meta.version, role), std::min(meta.length.value_or(most_bytes), most_bytes));
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

Result<Updater> Updater::load(MetadataStore& store, Fetcher& fetcher, SysTime start, Limits const& limits, std::optional<SysTime> fresh_at) {
  FLEET_TRY(auto const root, store.load("root"));
  if (!root) return Error{Kind::not_found, "no_root", "there is no trusted root yet", "enrol, or give one to trust"};
  FLEET_TRY(auto trusted, TrustedSet::create(*root, start, limits, fresh_at));
  return Updater(std::unique_ptr<State>(new State{store, fetcher, limits, std::move(trusted), {}, false}));
}

Result<void> Updater::State::forget(std::string const& role) {
  auto const removed = store.remove(role);
  return removed || removed.error().kind == Kind::not_found ? Result<void>{} : removed;
}

/// 5.3: every root up to the newest, each persisted before the next is asked for; expiry last.
Result<void> Updater::State::root_chain() {
  refreshed = false;
  judged.clear();
  for (int i = 0; i < limits.root_rotations; ++i) {
    auto const raw = fetcher.fetch(fmt::format("{}.root.json", trusted.root().version + 1), limits.root_bytes);
    if (!raw && raw.error().kind == Kind::not_found) break;
    if (!raw) return raw.error();
    FLEET_TRY(bool const rotated, trusted.update_root(*raw));
    if (rotated) {  // Before the root is kept: cut in between, the next refresh sees the same rotation again.
      FLEET_CHECK(forget("timestamp"));
      FLEET_CHECK(forget("snapshot"));
    }
    FLEET_CHECK(store.save("root", *raw));
  }
  return trusted.check_root_expiry();
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
  FLEET_TRY(auto const raw, fetch("snapshot", trusted.timestamp()->snapshot, limits.snapshot_bytes));
  FLEET_CHECK(trusted.update_snapshot(raw, false));
  FLEET_CHECK(trusted.check_snapshot());
  return store.save("snapshot", raw);
}

/// 5.6. Kept bytes are judged as fetched ones are, by their delegator of now.
Result<Targets const*> Updater::State::targets(Step const& step) {
  if (auto const known = judged.find(step.chain); known != judged.end()) return &known->second;
  std::optional<Targets> good;
  use_kept(step.role, [&](Bytes const& kept) -> Result<void> {
    FLEET_TRY(good, trusted.judge_targets(kept, step.role, step.delegator));
    return {};
  });
  if (!good) {
    FLEET_TRY(auto const meta, trusted.meta_of(step.role));
    FLEET_TRY(auto const raw, fetch(step.role, meta, limits.targets_bytes));
    FLEET_TRY(good, trusted.judge_targets(raw, step.role, step.delegator));
    FLEET_CHECK(store.save(file_name(step.role), raw));
  }
  return &judged.emplace(step.chain, std::move(*good)).first->second;
}

Result<void> Updater::refresh_root() { return state_->root_chain(); }

Result<void> Updater::refresh() {
  FLEET_CHECK(state_->root_chain());
  FLEET_CHECK(state_->timestamp());
  FLEET_CHECK(state_->snapshot());
  FLEET_CHECK(state_->targets(first_step()));
  state_->refreshed = true;
  return {};
}

/// 5.6.7: pre-order, depth first; each role once; a terminating delegation ends the search.
Result<std::optional<Target>> Updater::find(std::string const& path) {
  if (!state_->refreshed) return Error{Kind::internal, "not_refreshed", fmt::format("{} was asked for before a refresh succeeded", path)};
  std::vector<Step> open{first_step()};
  std::set<std::string> visited;
  while (!open.empty() && visited.size() <= static_cast<std::size_t>(state_->limits.delegations)) {
    auto const step = std::move(open.back());
    open.pop_back();
    if (!visited.insert(step.role).second) continue;
    FLEET_TRY(auto const* const file, state_->targets(step));
    if (auto const found = file->targets.find(path); found != file->targets.end()) return std::optional(found->second);
    std::vector<Step> next;
    bool ends = false;
    for (auto const& [name, terminating] : file->roles_for(path)) {
      next.push_back({name, step.chain + "/" + file_name(name), file});
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

Result<void> verify_target(Target const& target, BytesView bytes) {
  if (target.hashes.empty()) return Error{Kind::signature, "digest_mismatch", fmt::format("target {} names no hash", target.path)};  // CVE-2025-67903
  return verify_bytes("target " + target.path, bytes, target.length, target.hashes);
}

}  // namespace fleet::trust
