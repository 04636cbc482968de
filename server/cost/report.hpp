#pragma once

#include "server/cost/prices.hpp"
#include "server/cost/requests.hpp"
#include "server/cost/traffic.hpp"
#include "server/registry/limits.hpp"

#include <cstdint>
#include <optional>
#include <string>

/// Costs as the API sends them (docs/api.md, Cost; schema/openapi.yaml).
namespace fleet::cost {

struct Question {
  std::string model;                          ///< empty: all
  std::optional<std::int64_t> keep_releases;  ///< what if of each model only so many were kept?
  std::string only_model;                     ///< that the caller sees; empty: all
};
/// What the process has counted of itself.
struct Running {
  std::int64_t parked = 0;                  ///< polls that wait
  std::optional<std::uint64_t> sent_bytes;  ///< of files, since it started
};

/// What is stored, what rollouts of a month send, how often devices ask, and what that comes to. Walks rows: not on an io thread.
/// @errors not_found (`unknown_model`)
[[nodiscard]] Result<std::string> cost_json(db::Connection& reader, Question const& question, Running const& running, SysTime now);
/// The same of one rollout alone. @errors not_found (`unknown_rollout`)
[[nodiscard]] Result<std::string> rollout_cost_json(db::Connection& reader, std::string_view id);
/// The member `delivery` of a plan: how many bytes reach the targeted devices, by hardware and by what runs there.
/// `{"bytes","as_it_is_bytes","largest_bytes","money","devices":[{"model","hardware","from","devices","kind","bytes"}]}`; bytes of one device, the sums of all
[[nodiscard]] Result<std::string> delivery_json(db::Connection& reader, std::map<Arrival, std::int64_t> const& arrivals);

}  // namespace fleet::cost
