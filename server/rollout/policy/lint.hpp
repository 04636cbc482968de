#pragma once

#include "server/rollout/policy/policy.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

/// What is allowed and still looks like a mistake. What is wrong is refused by decode_policy.
namespace fleet::rollout {

struct Finding {
  std::string pointer;  ///< into the policy; empty: the whole
  std::string text;     ///< what is so
  std::string hint;     ///< what to do about it, or empty
};

/// What a release asks of devices, and how many of the selected meet it.
struct MatchFacts {
  std::string release;           ///< model@version
  std::int64_t with_variant = 0; ///< whose hardware it has a variant for
  struct Rule {
    std::string text;            ///< `onnxruntime>=1.16`, `memory_min 64 MiB`
    std::int64_t met = 0;        ///< of those with a variant
  };
  std::vector<Rule> rules = {};
};

/// The devices that a policy is asked about.
struct FleetFacts {
  std::int64_t targeted = 0;                       ///< selected, and with a variant where a release is named
  std::vector<std::int64_t> strata = {};           ///< devices of each class that the policy's strata part them in
  std::map<std::string, std::int64_t> labels = {}; ///< devices that have it, of each of labels_of
  std::optional<std::set<std::string>> metrics = {};  ///< that any device ever sent; nothing: not known
  std::optional<MatchFacts> match = {};            ///< with a release
};

/// The labels that a policy names: strata but `hardware`, and limits.per.
[[nodiscard]] std::vector<std::string> labels_of(Policy const& policy);
/// Every finding, in the order of the policy's keys. Of a preset nothing is found before it is a policy of the fleet (preset_for).
/// @param fleet  null: what can be told without one
[[nodiscard]] std::vector<Finding> lint(Policy const& policy, FleetFacts const* fleet);

}  // namespace fleet::rollout
