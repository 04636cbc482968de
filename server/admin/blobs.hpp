#pragma once

#include "server/admin/layout.hpp"
#include "server/admin/machine.hpp"
#include "server/blobs/store/blob_store.hpp"
#include "server/store/store.hpp"

#include <memory>
#include <string>

/// The store of blobs of a data folder: opened, known as this fleet's, and moved to another.
namespace fleet::admin {

/// Nothing is asked of it yet. @param scratch  a folder for what has to be fetched, of this command alone @param copies_max  bytes that stay there
/// @errors bad_input (`bad_blobs`, `no_credentials`, `bad_credentials`), io
[[nodiscard]] Result<std::unique_ptr<blobs::BlobStore>> open_blobs(Fs& fs, Machine const& machine, Layout const& layout, std::string const& credentials_file, std::string const& scratch,
                                                                   std::uint64_t copies_max = 0);

/// A shared store bears a mark that the database knows: another bucket, another prefix and a folder that is not mounted are told before anything is missed.
/// @returns whether it does; false where none is needed, or no store was used yet
/// @errors conflict (`not_its_blobs`; `blobs_elsewhere`: the database's blobs lie in a store of another kind), those of the store
Result<bool> check_blobs_mark(db::Connection& reader, blobs::BlobStore& store);
/// Marks a store that is used for the first time, and writes the mark down. A store that bears `known` already is one's own. @errors conflict (`not_its_blobs`)
Result<void> mark_blobs(store::Tx& tx, blobs::BlobStore& store, Machine const& machine);

/// Brings every blob from one store to another, and the rows with them, in one transaction at the end. What lies in `from` stays.
/// @returns how many. @errors corrupt (`blob_lost`: one is not there, or not itself)
Result<std::size_t> move_blobs(store::Store& database, blobs::BlobStore& from, blobs::BlobStore& to, Machine const& machine);

}  // namespace fleet::admin
