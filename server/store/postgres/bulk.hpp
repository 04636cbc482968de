#pragma once

#include "server/store/db/db.hpp"

#include <string_view>

/// While a whole database is filled, in one transaction: what rows set off was set off where they come from.
namespace fleet::postgres {

/// The user's triggers of a table run, or do not until they are told to.
Result<void> set_triggers(db::Connection& connection, std::string_view table, bool run);

/// A column that numbers its rows by itself (GENERATED AS IDENTITY): the last number that it gave; 0: none, or it does not number.
Result<std::int64_t> last_number(db::Connection& connection, std::string_view table, std::string_view column);
/// It goes on after `number`, and after the highest that is there. Of a column that does not number nothing happens.
Result<void> go_on_from(db::Connection& connection, std::string_view table, std::string_view column, std::int64_t number);

}  // namespace fleet::postgres
