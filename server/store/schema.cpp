#include "server/store/schema.hpp"

namespace fleet::store {
namespace {

constexpr db::Migration kSqlite[] = {
#include "server/store/migrations.inc"
};
constexpr db::Migration kPostgres[] = {
#include "server/store/postgres_migrations.inc"
};

}  // namespace

std::span<db::Migration const> sqlite_migrations() { return kSqlite; }
std::span<db::Migration const> postgres_migrations() { return kPostgres; }

}  // namespace fleet::store
