#pragma once

#include "core/base/fs.hpp"
#include "server/admin/layout.hpp"
#include "server/signing/key_ring.hpp"

#include <string>

/// Which database a data folder has: DIR/fleet.db, or the PostgreSQL that DIR/server.yaml or --database names.
namespace fleet::admin {

/// What a command on a data folder is told by its options.
struct DataDir {
  std::string path;
  std::string database = {};         ///< URL of a PostgreSQL; empty: as DIR/server.yaml says
  std::string passphrase_file = {};  ///< of the private keys, where they are sealed
};

/// A folder that `init` or `restore` finished, with its one database, and what else DIR/server.yaml says.
/// @errors not_found (`no_data_dir`, `no_database`), conflict (`two_databases`), bad_input (`bad_database`, server.yaml)
Result<Layout> find_layout(Fs& fs, DataDir const& data);

/// @errors bad_input (code `bad_database`: no postgresql://...)
Result<void> check_url(std::string const& url);

/// Of two keys that never leave the server one at least is as the metadata says, whatever was cut: beside another fleet's database all that follows would be wrong, down
/// to the keys that would be dropped. @errors conflict (`not_its_database`)
Result<void> check_pair(db::Connection& reader, signing::KeyRing& keys);

/// From now on the folder's database is that of `layout.database_url`; where that is empty, its own file. What else DIR/server.yaml says stays.
Result<void> name_database(Fs& fs, Layout const& layout);

}  // namespace fleet::admin
