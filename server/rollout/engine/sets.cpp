#include "server/rollout/engine/sets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace fleet::rollout {
namespace {

using Names = std::set<std::string, std::less<>>;

Names hardware_of(wire::Release const& release) {
  Names out;
  for (auto const& variant : release.variants) out.insert(variant.hardware.begin(), variant.hardware.end());
  return out;
}

bool says(Desired const& one) { return !one.target.model.empty() && one.target.action != wire::Action::none; }
bool takes_back(Desired const& one) { return one.target.action == wire::Action::revert || one.target.action == wire::Action::remove; }

/// Whose word counts first: the smaller one.
std::tuple<int, int, std::int64_t> rank_of(Snapshot const& snapshot, Desired const& one) {
  auto const found = snapshot.by_n.find(one.rollout_n);
  if (found == snapshot.by_n.end()) return {3, 0, 0};
  auto const& rollout = found->second->rollout;
  auto const moment = rollout.moment.value_or(0);
  if (takes_back(one)) return {0, 0, -moment};
  if (is_live(rollout.state)) return {1, -rollout.policy.priority, moment};
  return {2, 0, -moment};
}

/// Nothing is said, and why.
void silence(Desired& one, std::string const& by, Because why) {
  one.overtaken_by = by;
  one.target = {};
  one.version.clear();
  one.rollout_n = 0;
  one.joins = false;
  one.members.clear();
  why.names_others = true;
  one.because.push_back(std::move(why));
}

class Joining {
public:
  Joining(Snapshot const& snapshot, std::vector<Desired>& desired) : snapshot_(snapshot), desired_(desired) {}

  void run() {
    std::vector<std::string> sets;
    for (auto const& one : desired_)
      if (says(one) && !one.members.empty()) sets.push_back(one.model);
    std::sort(sets.begin(), sets.end(), [&](auto const& a, auto const& b) { return rank_of(snapshot_, of(a)) < rank_of(snapshot_, of(b)); });
    for (auto const& name : sets) join(name);
  }

private:
  Desired& of(std::string const& model) {
    auto const found = std::find_if(desired_.begin(), desired_.end(), [&](Desired const& one) { return one.model == model; });
    if (found != desired_.end()) return *found;
    desired_.emplace_back().model = model;
    return desired_.back();
  }

  /// A stronger word on this model: its own rollout's, or of a set that came first.
  [[nodiscard]] std::string overtaken_by(std::string const& model, Desired const& set) {
    if (auto const taken = taken_.find(model); taken != taken_.end()) return taken->second;
    auto const& own = of(model);
    return says(own) && rank_of(snapshot_, own) < rank_of(snapshot_, set) ? own.target.rollout : std::string();
  }

  void join(std::string const& name) {
    auto const set = of(name);  // a copy: `desired_` grows
    std::map<std::string, std::string> overtaken;
    for (auto const& member : set.members)
      if (auto by = overtaken_by(member.model, set); !by.empty()) overtaken.emplace(member.model, std::move(by));
    if (overtaken.empty()) return take(set);
    auto const& [model, by] = *overtaken.begin();
    auto const rank = std::get<0>(rank_of(snapshot_, set));
    bool const had_it = rank == 2 && !set.joins && set.target.action == wire::Action::install;
    silence(of(name), by, {rank == 1 ? "blocked" : "broken_up", fmt::format("rollout {} says what {} should run, a member of set {}@{}", by, model, set.model, set.version)});
    if (!had_it) return;
    for (auto const& member : set.members)
      if (!overtaken.contains(member.model)) give(set, member, false);
  }

  void take(Desired const& set) {
    for (auto const& member : set.members) {
      give(set, member, true);
      taken_.emplace(member.model, set.target.rollout);
    }
  }

  void give(Desired const& set, SetMember const& member, bool together) {
    auto& one = of(member.model);
    silence(one, set.target.rollout, {"set", fmt::format("a member of set {}: rollout {} says what it runs{}", set.model, set.target.rollout, together ? "" : ", each for itself")});
    auto& target = one.target;
    target.model = member.model;
    target.rollout = set.target.rollout;
    target.attempt = set.target.attempt;
    target.action = set.target.action;
    if (together) target.set = set.model;
    if (together) target.after = member.after;
    auto const revoked = snapshot_.revoked.find(member.model);
    if (revoked != snapshot_.revoked.end()) one.revoked.insert(one.revoked.end(), revoked->second.begin(), revoked->second.end());
    std::sort(one.revoked.begin(), one.revoked.end());
    one.revoked.erase(std::unique(one.revoked.begin(), one.revoked.end()), one.revoked.end());
    if (target.action == wire::Action::remove) return;
    one.version = member.version;
    target.path = fmt::format("models/{}/{}/release.json", member.model, member.version);
    target.length = static_cast<std::uint64_t>(member.document_bytes);
    target.hashes = {{"sha256", member.digest.hex()}};
  }

  Snapshot const& snapshot_;
  std::vector<Desired>& desired_;
  std::map<std::string, std::string> taken_;  ///< model -> the rollout whose set has it
};

}  // namespace

wire::Release as_one(wire::Release set, std::vector<wire::Release> const& members) {
  set.manifest = {};
  set.variants.clear();
  if (members.empty()) return set;
  auto common = hardware_of(members.front());
  wire::Golden golden;
  golden.timeout = Millis{0};
  wire::Probation probation;
  bool tests = false, watches = false;
  for (auto const& member : members) {
    auto const own = hardware_of(member);
    std::erase_if(common, [&](auto const& name) { return !own.contains(name); });
    auto const& manifest = member.manifest;
    if (manifest.golden) golden.timeout += manifest.golden->timeout;
    if (manifest.probation) {
      probation.time = std::max(probation.time, manifest.probation->time);
      probation.max = std::max(probation.max, manifest.probation->max);
    }
    tests = tests || manifest.golden;
    watches = watches || manifest.probation;
    auto& match = set.manifest.match;
    match.memory_min_bytes = std::max(match.memory_min_bytes, manifest.match.memory_min_bytes);
    if (!manifest.match.runtime.empty()) match.runtime += (match.runtime.empty() ? "" : ", ") + manifest.match.runtime;
    set.manifest.schema.insert(manifest.schema.begin(), manifest.schema.end());
  }
  if (tests) set.manifest.golden = golden;
  if (watches) set.manifest.probation = probation;
  for (auto const& name : common) {
    wire::Variant variant{{name}, {}};
    for (auto const& member : members) {
      auto const& files = wire::find_variant(member, name)->files;
      variant.files.insert(variant.files.end(), files.begin(), files.end());
    }
    set.variants.push_back(std::move(variant));
  }
  return set;
}

void join_sets(Snapshot const& snapshot, std::vector<Desired>& desired) { Joining(snapshot, desired).run(); }

}  // namespace fleet::rollout
