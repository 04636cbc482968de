#pragma once

#include "server/blobs/store/blob_store.hpp"
#include "server/store/store.hpp"

#include <string>
#include <vector>

/// Bytes that no release, upload or import names any more.
namespace fleet::blobs {

/// Digests whose files a request relies on before any row says so: they are not removed while one of these lives. Of this process, which owns the
/// data folder; where a store is shared, what a request relies on is a note of its own (arrival.hpp).
class Held {
public:
  explicit Held(std::vector<Digest> digests);
  Held(Held const&) = delete;
  ~Held();
  [[nodiscard]] static bool is_held(Digest const& sha256);

private:
  std::vector<Digest> digests_;
};

struct Collection {
  Digest after{};     ///< where the next step goes on
  bool more = false;  ///< it would find something
};
/// One step of bounded size, in three parts, each safe to be cut off after: what was uploaded a week ago is no upload any more; rows of blobs older than a
/// week that no release and no upload names go, with a note; files of notes older than a day go, if their digest was not brought again meanwhile. First of all, files of uploads that have no row go,
/// a week after they were last touched.
/// A publication looks for its blobs once more in its own transaction, so that it names none that went before it.
/// @param after  of the step before; nothing but zeros: from the beginning
/// Of a shared store it only writes down what is to be removed: `remove_doomed` does it, outside of any transaction.
[[nodiscard]] Result<Collection> collect_garbage(store::Tx& tx, BlobStore& blobs, Digest const& after, SysTime now);
/// Removes some of what a shared store has and no row may name any more. May be cut, repeated, and done by several nodes at once: a name is used once. Blocks: worker threads only.
/// @returns whether there may be more
[[nodiscard]] Result<bool> remove_doomed(store::Store& store, BlobStore& blobs);

struct GivenBack {
  std::int64_t blobs = 0, bytes = 0;  ///< ever
  std::int64_t waiting_bytes = 0;     ///< of notes
};
[[nodiscard]] Result<GivenBack> given_back(db::Connection& reader);

}  // namespace fleet::blobs
