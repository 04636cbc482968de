#pragma once

#include "server/store/db/db.hpp"

#include <cstdint>
#include <span>

namespace fleet::db {

/// Numbers that a query takes as a set, its first parameters: `... WHERE n IN (" FLEET_SET ")"`. A place that is not bound is NULL, and no number is equal to
/// it.
#define FLEET_SET                                                                                                                                           \
  "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, " \
  "?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49, ?50, ?51, ?52, ?53, ?54, ?55, ?56, ?57, ?58, ?59, ?60, ?61, ?62, "  \
  "?63, ?64"
inline constexpr std::size_t kSetMax = 64;

/// @param numbers  at most kSetMax
inline void bind_set(Statement& statement, std::span<std::int64_t const> numbers) {
  int index = 0;
  for (auto const number : numbers) statement.bind(++index, number);
}

}  // namespace fleet::db
