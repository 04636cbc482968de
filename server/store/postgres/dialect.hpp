#pragma once

#include <string>
#include <string_view>

namespace fleet::postgres {

/// A query's one text as PostgreSQL reads it. `?3` is `$3`, and `?` one more than the highest so far, as SQLite counts them. `INDEXED BY name` is left out: it
/// keeps SQLite's planner from taking another index, and PostgreSQL's goes by statistics. What is quoted or a comment stays as it is.
[[nodiscard]] std::string translated(std::string_view sql);

}  // namespace fleet::postgres
