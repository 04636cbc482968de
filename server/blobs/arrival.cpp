#include "server/blobs/arrival.hpp"

#include "server/blobs/queries.hpp"

namespace fleet::blobs {

Result<std::vector<Name>> announce(UploadContext const& context, std::vector<Name> const& blobs, SysTime now) {
  if (!context.blobs.is_shared()) return blobs;
  auto names = blobs;
  for (auto& name : names) name.generation = make_ulid("", to_unix_ms(now), context.random);
  auto const job = [&](store::Tx& tx) -> Result<void> {
    for (auto const& name : names) FLEET_CHECK(tx.prepare(kNoteLeftover).bind_all(name.sha256, name.generation, static_cast<std::int64_t>(name.size), to_unix_ms(now)).run());
    return {};
  };
  FLEET_CHECK(context.store.write_wait(store::Lane::verbs, job));
  return names;
}

Result<bool> name_blob(store::Tx& tx, Name const& name, SysTime now) {
  FLEET_TRY(auto const inserted, tx.prepare(kInsertBlob).bind_all(name.sha256, static_cast<std::int64_t>(name.size), to_unix_ms(now), name.generation).affected());
  if (inserted == 0 || name.generation.empty()) return inserted == 1;
  FLEET_TRY(auto const claimed, tx.prepare(kClaimLeftover).bind_all(name.sha256, name.generation).affected());
  if (claimed == 0) return Error{Kind::unavailable, "blob_late", "bringing it to the store of blobs took so long that it is being removed again", "send it again"};
  return true;
}

}  // namespace fleet::blobs
