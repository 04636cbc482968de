#pragma once

#include "core/base/result.hpp"
#include "server/admin/database.hpp"
#include "server/admin/machine.hpp"

#include <string>
#include <vector>

/// What `fleet-server` does, one function a command. Each prints what it did to standard output.
namespace fleet::admin {

struct InitOptions {
  std::string data_dir;
  std::vector<std::string> hosts;  ///< DNS names and addresses for the certificate; the first is how devices reach the server
  std::string name = "fleet";
  std::string passphrase_file = {};  ///< of the private keys; empty: they are not sealed
  std::string database = {};         ///< URL of a PostgreSQL, kept in DIR/server.yaml; empty: DIR/fleet.db
  BlobsAt blobs = {};                ///< kept there, too; empty: DIR/blobs
};
/// Makes the data folder: keys, CA, certificate, database, both metadata repositories, the first admin token.
/// @errors conflict (the folder or the database is not empty), bad_input (a host), those of the database, io
Result<void> init(Machine const& machine, InitOptions const& options);

/// Findings over database, metadata, blobs and audit chain; empty when sound. Works while the server runs.
Result<std::vector<std::string>> check(Machine const& machine, DataDir const& data);

struct BackupOptions {
  std::string data_dir;
  std::string file;
  std::string passphrase_file;            ///< empty: not encrypted
  std::string keys_passphrase_file = {};  ///< restore: of the private keys in it, where they are sealed
  std::string database = {};              ///< as of DataDir; restore: as of InitOptions
  BlobsAt blobs = {};                     ///< the same
};
/// Everything a restore needs, in one file. Works while the server runs.
/// @errors conflict (the file exists), corrupt (a blob is missing or differs), io
Result<void> backup(Machine const& machine, BackupOptions const& options);
/// @errors conflict (the folder is not empty), corrupt, unauthenticated (passphrase), bad_input (not a backup)
Result<void> restore(Machine const& machine, BackupOptions const& options);

struct MigrateOptions {
  std::string data_dir;
  std::string to, from;  ///< URL of a PostgreSQL; one of them is empty, or both
  BlobsAt blobs = {};    ///< where blobs shall go: a URL, or `local`: DIR/blobs; with neither `to` nor `from`
};
/// Brings the database of a data folder into a PostgreSQL that holds nothing yet, or back, with no server running; every row is compared before anything is told of
/// the new place. What was left behind stays as it was.
/// @errors bad_input, conflict (locked, `database_not_empty`, `not_its_database`), those of store::transfer
Result<void> migrate(Machine const& machine, MigrateOptions const& options);
/// Brings every blob of a data folder to another store, with no server running on its database; each is checked by its digest before any row says where it is. What was left
/// behind stays as it was. @errors as migrate, those of the stores, corrupt (`blob_lost`)
Result<void> migrate_blobs(Machine const& machine, MigrateOptions const& options);

// Several servers on one PostgreSQL, each with a folder of its own (docs/operators.md, Several servers).
struct NodeExport {
  DataDir data;
  std::string file;
  std::string passphrase_file;  ///< seals it
};
/// Writes what another server needs to sign for the fleet, sealed. Works while the server runs. @errors conflict (`not_shared`, `file_exists`), bad_input
Result<void> export_node_keys(Machine const& machine, NodeExport const& options);
struct NodeJoin {
  std::string data_dir, database;
  BlobsAt blobs;                          ///< the store of blobs that all of them use
  std::string keys_file, passphrase_file;
  std::vector<std::string> hosts;         ///< of its certificate, beside those of the fleet
  std::string keys_passphrase_file = {};  ///< of its own private keys; empty: they are not sealed
  bool again = false;                     ///< the folder is a node's already and takes the keys of now
};
/// Makes the data folder of one more server beside those that run. @errors conflict (not empty, `not_its_database`, `blobs_not_shared`, `not_its_blobs`), unauthenticated (passphrase), bad_input
Result<void> join_node(Machine const& machine, NodeJoin const& options);
struct NodeLeave {
  DataDir data;
  std::string id;  ///< of a server that is lost; empty: this folder's own, whose private keys are removed
};
/// @errors conflict (`last_node`, `not_a_node`, in use), not_found (`unknown_node`)
Result<void> leave_node(Machine const& machine, NodeLeave const& options);

/// The CAs of a data folder, their states and keys.
Result<void> show_ca(Machine const& machine, DataDir const& data);
/// The succession, in two steps with no server running: a successor is made and announced; then it issues and the old one is no longer trusted.
/// @errors conflict (locked, succession_under_way, no_successor), corrupt, io
Result<void> rotate_ca(Machine const& machine, DataDir const& data);
Result<void> retire_ca(Machine const& machine, DataDir const& data);

/// Seals every private key that lies there plain, with no server running. May be cut at any point and repeated.
/// @errors conflict (locked), unauthenticated (sealed with another passphrase), io
Result<void> seal_keys(Machine const& machine, DataDir const& data);
/// Another passphrase for keys that are sealed. @errors unauthenticated, bad_input, conflict (locked), io
Result<void> change_passphrase(Machine const& machine, DataDir const& data, std::string const& new_passphrase_file);

}  // namespace fleet::admin
