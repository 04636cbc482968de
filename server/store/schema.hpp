#pragma once

#include "server/store/db/engine.hpp"

#include <span>

namespace fleet::store {

/// The schema of `schema/sql`, compiled in: a migration has the same number on both engines.
[[nodiscard]] std::span<db::Migration const> sqlite_migrations();
[[nodiscard]] std::span<db::Migration const> postgres_migrations();

}  // namespace fleet::store
