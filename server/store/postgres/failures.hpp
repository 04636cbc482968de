#pragma once

#include "core/base/result.hpp"

#include <string_view>

namespace fleet::postgres {

/// PostgreSQL's word for what went wrong as ours.
/// @param sqlstate  five characters (PostgreSQL, Appendix A); empty: the connection itself failed
/// @param message   what the server or libpq says
/// @param doing     the query's name, or what was done
/// @returns conflict (`constraint`), unavailable (`run_again`: a deadlock or a serialization failure, the whole transaction may be run once more; `database_busy`;
///          `database_gone`; `database_read_only`; `disk_full`), internal (`transaction_failed`: a statement before it failed), corrupt (`database_corrupt`), io (`disk_failed`, `database_failed`)
[[nodiscard]] Error failure(std::string_view sqlstate, std::string_view message, std::string_view doing);

/// A commit whose answer was not heard, or that the server does not vouch for: it may have happened.
[[nodiscard]] Error commit_unknown(std::string_view message);

/// The text itself is wrong, not the moment: a bug of ours.
[[nodiscard]] bool is_bug(std::string_view sqlstate);

}  // namespace fleet::postgres
