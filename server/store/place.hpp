#pragma once

#include <string>
#include <string_view>

/// Where a database is: a data folder, whose DIR/fleet.db is SQLite's, or a PostgreSQL's URL (postgresql://...).
namespace fleet::store {

[[nodiscard]] inline bool is_url(std::string_view place) { return place.find("://") != std::string_view::npos; }
[[nodiscard]] inline std::string sqlite_file(std::string const& dir) { return dir + "/fleet.db"; }

}  // namespace fleet::store
