#pragma once

#include "core/base/result.hpp"
#include "core/wire/release.hpp"

#include <boost/json/array.hpp>

#include <vector>

/// The members of a set, in JSON. For .cpp files only: it pulls in Boost.JSON.
namespace fleet::wire {

/// Reads and checks `members`: 1 to kMembersMax, each model once and none the set's own, `after` of members only and without a circle.
/// @param signed_  digests must stand there: what people write leaves them to the server
/// @param strict   unknown keys are faults
void read_members(boost::json::array const& list, Release& release, bool signed_, bool strict, std::vector<FieldError>& faults);
[[nodiscard]] boost::json::array members_json(std::vector<Member> const& members);

}  // namespace fleet::wire
