#pragma once

#include "server/store/db/db.hpp"

#include <string>
#include <string_view>
#include <vector>

/// While a whole database is filled, in one transaction: what rows set off was set off where they come from.
namespace fleet::sqlite {

/// Takes the triggers away. @returns the statements that make them again
Result<std::vector<std::string>> drop_triggers(db::Connection& connection);

/// Tables that never give a number twice (AUTOINCREMENT).
Result<std::vector<std::string>> numbered_tables(db::Connection& connection);
/// The last number that one of them gave; 0: none.
Result<std::int64_t> last_number(db::Connection& connection, std::string_view table);
Result<void> go_on_from(db::Connection& connection, std::string_view table, std::int64_t number);

}  // namespace fleet::sqlite
