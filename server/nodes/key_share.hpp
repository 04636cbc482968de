#pragma once

#include "server/signing/key_ring.hpp"
#include "server/store/store.hpp"

namespace fleet::nodes {

/// Keys that the server holds, at every node: whatever one makes, changes or gives away goes with the commit that names it into the database, sealed under a secret
/// that the nodes alone have (role `node` of the key ring), and the others take it from there before they write or sign by it. The database, its backups and who
/// reads them hold nothing that opens.
class KeyShare {
public:
  /// Both outlive every turn of the store. Shares from now on.
  KeyShare(store::Store& store, signing::KeyRing& keys);
  /// At start, before anything is signed: takes over what other nodes changed meanwhile; keys that only this one has are shared.
  /// @errors unauthenticated (`other_nodes_secret`: this folder's secret is not the others'), those of the key ring
  Result<void> catch_up();

private:
  Result<void> put_changed(db::Connection& writing, std::vector<store::Change>& changes);
  Result<void> take(db::Connection& reader, std::string const& role);
  Result<void> take_sealed(std::string const& role, BytesView sealed);

  store::Store& store_;
  signing::KeyRing& keys_;
};

}  // namespace fleet::nodes
