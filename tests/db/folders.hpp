#pragma once

#include "server/store/db/db.hpp"

#include <map>
#include <span>
#include <string>

namespace fleet::test {

/// Folders and the arrays of their named queries. A folder with a queries.hpp that is not in here fails a test.
std::map<std::string, std::span<db::Query const>> const& folders();

}  // namespace fleet::test
