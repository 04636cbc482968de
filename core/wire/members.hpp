#pragma once

#include "core/wire/json.hpp"
#include "core/wire/release.hpp"

#include <boost/json/array.hpp>

#include <vector>

/// The members of a set, in JSON. For .cpp files only: it pulls in Boost.JSON.
namespace fleet::wire {

/// Reads and checks `members` of a release, which has neither variants nor manifest then: 1 to kMembersMax, each model once and none the set's own, `after`
/// of members only and without a circle.
/// @param is_signed  digests must stand there, and unknown keys may: what people write is the other way round
void read_set(ObjectReader& reader, Release& release, bool is_signed, std::vector<FieldError>& faults);
[[nodiscard]] boost::json::array members_json(std::vector<Member> const& members);

}  // namespace fleet::wire
