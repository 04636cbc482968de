#pragma once

#include "server/store/store.hpp"

#include <memory>
#include <string>

namespace fleet::store {

/// The same store on PostgreSQL, alone on its database: one connection writes, in groups, each thread that reads has one of its own.
/// While the database is away every write fails (`database_gone`), and is made again by whoever asked; nothing that was acknowledged is lost.
/// A group whose commit nobody vouches for fails with `commit_unknown`, and every decision is made anew.
/// @param url  as postgres::open takes it
/// @errors those of postgres::open and postgres::migrate
Result<std::unique_ptr<Store>> open_on_postgres(std::string const& url, Clock& clock);

}  // namespace fleet::store
