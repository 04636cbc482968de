#include "server/audit/audit.hpp"

#include "core/crypto/hash.hpp"
#include "server/audit/queries.hpp"

#include <fmt/format.h>

#include <array>

namespace fleet::audit {
namespace {

/// What the hash covers: the previous hash, then every field with its length before it, so that no two entries share a text.
Digest chain(Digest const& prev, std::int64_t seq, std::int64_t time, std::array<std::string_view, 7> const& fields) {
  std::string covered(as_text(prev.bytes));
  covered += fmt::format("{}:{}:", seq, time);
  for (auto const field : fields) covered += fmt::format("{}:{}", field.size(), field);
  return crypto::sha256(covered);
}

struct Head {
  std::int64_t seq = 0;
  Digest hash;
};

Result<Head> head(db::Connection& connection) {
  auto last = connection.prepare(kLastAudit);
  FLEET_TRY(bool const row, last.step());
  return row ? Head{last.int64(0), last.digest(1)} : Head{};
}

}  // namespace

Result<void> append(store::Tx& tx, Entry const& entry) {
  FLEET_TRY(auto const last, head(tx.connection()));
  auto const time = to_unix_ms(entry.time);
  auto const hash = chain(last.hash, last.seq + 1, time, {entry.actor, entry.action, entry.subject, entry.before, entry.after, entry.reason, entry.request_id});
  auto insert = tx.prepare(kInsertAudit);
  insert.bind_all(last.seq + 1, time, entry.actor, entry.action, entry.subject, entry.before, entry.after, entry.reason, entry.request_id, last.hash, hash);
  return insert.run();
}

Result<void> emit(store::Tx& tx, SysTime time, std::string_view type, std::string_view subject, std::string_view actor, std::string_view data_json) {
  auto insert = tx.prepare(kInsertEvent);
  insert.bind_all(to_unix_ms(time), type, subject, actor, data_json.empty() ? std::string_view("{}") : data_json);
  return insert.run();
}

Result<void> record(store::Tx& tx, Entry const& entry) {
  FLEET_CHECK(append(tx, entry));
  return emit(tx, entry.time, entry.action, entry.subject, entry.actor, entry.after);
}

Result<void> verify(db::Connection& reader) {
  auto all = reader.prepare(kAllAudit);
  Head expected;
  for (;;) {
    FLEET_TRY(bool const row, all.step());
    if (!row) return {};
    auto const seq = all.int64(0);
    auto const found = all.digest(10);
    auto const hash = chain(expected.hash, seq, all.int64(1),
                            {all.text_view(2), all.text_view(3), all.text_view(4), all.text_view(5), all.text_view(6), all.text_view(7), all.text_view(8)});
    if (seq != expected.seq + 1)
      return Error{Kind::corrupt, "audit_gap", fmt::format("audit entry {} is missing: {} follows {}", expected.seq + 1, seq, expected.seq)};
    if (all.digest(9) != expected.hash || hash != found) return Error{Kind::corrupt, "audit_changed", fmt::format("audit entry {} does not fit its hash", seq)};
    expected = {seq, found};
  }
}

}  // namespace fleet::audit
