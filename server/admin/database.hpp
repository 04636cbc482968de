#pragma once

#include "core/base/fs.hpp"
#include "server/admin/layout.hpp"
#include "server/signing/key_ring.hpp"

#include <string>

/// Which database and which store of blobs a data folder has: its own, or what DIR/server.yaml or --database and --blobs name.
namespace fleet::admin {

/// Where the blobs are, by options.
struct BlobsAt {
  std::string url = {};               ///< as server/blobs/store/open.hpp takes it; empty: as DIR/server.yaml says, else DIR/blobs
  std::string credentials_file = {};  ///< empty: the environment has them
};
/// What a command on a data folder is told by its options.
struct DataDir {
  std::string path;
  std::string database = {};         ///< URL of a PostgreSQL; empty: as DIR/server.yaml says
  std::string passphrase_file = {};  ///< of the private keys, where they are sealed
  BlobsAt blobs = {};
};

/// A folder that `init` or `restore` finished, with its one database, and what else DIR/server.yaml says.
/// @errors not_found (`no_data_dir`, `no_database`), conflict (`two_databases`, `two_blobs`), bad_input (`bad_database`, `bad_blobs`, server.yaml)
Result<Layout> find_layout(Fs& fs, DataDir const& data);

/// @errors bad_input (code `bad_database`: no postgresql://...)
Result<void> check_url(std::string const& url);

/// Of two keys that never leave the server one at least is as the metadata says, whatever was cut: beside another fleet's database all that follows would be wrong, down
/// to the keys that would be dropped. @errors conflict (`not_its_database`)
Result<void> check_pair(db::Connection& reader, signing::KeyRing& keys);

/// From now on the folder's database and blobs are where `layout` has them; where it names none, in the folder. What else DIR/server.yaml says stays.
Result<void> write_settings(Fs& fs, Layout const& layout);

}  // namespace fleet::admin
