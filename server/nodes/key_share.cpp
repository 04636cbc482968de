#include "server/nodes/key_share.hpp"

#include "core/base/log.hpp"
#include "core/crypto/data_key.hpp"
#include "core/crypto/hash.hpp"
#include "server/nodes/queries.hpp"

namespace fleet::nodes {
namespace {

constexpr std::string_view kSecret = "node", kChanged = "key";

/// A key of its own a role: a sealed key put in another's place does not open.
Result<crypto::DataKey> key_for(signing::KeyRing& keys, std::string const& role) {
  FLEET_TRY(auto const secret, keys.get_or_create(std::string(kSecret)));
  return crypto::DataKey::derive(secret.seed(), crypto::sha256(role));
}

}  // namespace

KeyShare::KeyShare(store::Store& store, signing::KeyRing& keys) : store_(store), keys_(keys) {
  if (!store.turns().is_shared()) return;
  store.turns().on_commit([this](db::Connection& writing, auto& changes) { return put_changed(writing, changes); }, [this] { keys_.shared(); });
  store.turns().on_change([this](store::Change const& change, db::Connection* writing) {
    if (change.what != kChanged && change.what != "all") return;
    auto& reader = writing != nullptr ? *writing : store_.reader();
    auto const taken = change.what == kChanged ? take(reader, change.which) : catch_up();
    if (!taken) log::error("node.key_not_taken", {{"role", change.which}, {"code", taken.error().code}, {"detail", taken.error().detail}});
  });
}

Result<void> KeyShare::put_changed(db::Connection& writing, std::vector<store::Change>& changes) {
  for (auto const& role : keys_.changed()) {
    if (role == kSecret) continue;
    FLEET_TRY(auto const seed, keys_.seed_of(role));
    FLEET_TRY(auto const key, key_for(keys_, role));
    auto const sealed = key.seal(seed ? BytesView(*seed) : BytesView());  // that it is kept elsewhere is a node's word, too
    FLEET_CHECK(writing.prepare(kPutKey).bind_all(role, BytesView(sealed)).run());
    changes.push_back({std::string(kChanged), role});
  }
  return {};
}

Result<void> KeyShare::take_sealed(std::string const& role, BytesView sealed) {
  FLEET_TRY(auto const key, key_for(keys_, role));
  auto const seed = key.open(sealed);
  if (!seed)
    return Error{Kind::unauthenticated, "other_nodes_secret", "the key of role " + role + " in the database is sealed under another secret than this folder's",
                 "join again with keys that a node of now exports: fleet-server node export-keys, node join"};
  return keys_.adopt(role, seed->empty() ? std::nullopt : std::optional(BytesView(*seed)));
}

Result<void> KeyShare::take(db::Connection& reader, std::string const& role) {
  Bytes sealed;
  {
    auto row = reader.prepare(kGetKey);
    row.bind(1, role);
    FLEET_TRY(bool const found, row.step());
    if (!found) return {};
    auto const bytes = row.blob(0);
    sealed.assign(bytes.begin(), bytes.end());
  }
  return take_sealed(role, sealed);
}

Result<void> KeyShare::catch_up() {
  if (!store_.turns().is_shared()) return {};
  std::vector<std::pair<std::string, Bytes>> rows;
  {
    auto row = store_.reader().prepare(kListKeys);
    for (;;) {
      FLEET_TRY(bool const more, row.step());
      if (!more) break;
      auto const bytes = row.blob(1);
      rows.emplace_back(row.text(0), Bytes(bytes.begin(), bytes.end()));
    }
  }
  // The first node makes what any node might make when it is first needed: two would make two.
  if (rows.empty())
    for (auto const* const role : {"node", "audit", "data"}) FLEET_CHECK(keys_.get_or_create(role));
  for (auto const& [role, sealed] : rows) FLEET_CHECK(take_sealed(role, sealed));
  std::vector<std::string> shared;
  for (auto const& [role, sealed] : rows) shared.push_back(role);
  return keys_.share_others(shared);
}

}  // namespace fleet::nodes
