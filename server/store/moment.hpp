#pragma once

#include "server/store/db/db.hpp"
#include "server/store/queries.hpp"

#include <type_traits>

namespace fleet::store {

/// Runs `read`, all of whose reads of `reader` see the database as it is at one moment, whatever is committed meanwhile. For what is read by several
/// statements and then remembered; it is short, and asks nobody else.
/// @errors those of `read`; unavailable (`database_gone`): the connection broke, and what came after was of another moment
template <class F>
std::invoke_result_t<F> at_one_moment(db::Connection& reader, F&& read) {
  FLEET_CHECK(reader.prepare(kBeginReading).run());
  auto out = read();
  if (!reader.in_transaction()) return Error{Kind::unavailable, "database_gone", "the database went away in the middle of a read"};
  FLEET_CHECK(reader.prepare(out ? kCommit : kRollback).run());
  return out;
}

}  // namespace fleet::store
