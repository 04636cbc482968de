#include "server/events/audit.hpp"

#include "server/events/queries.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::events {
namespace {

/// Compact, as whoever reads the entry as JSON writes it again: the hash covers what an export shows.
std::string compact(std::string const& text) {
  if (text.empty()) return {};
  boost::system::error_code fault;
  auto const value = boost::json::parse(text, fault);
  return boost::json::serialize(fault ? boost::json::value(text) : value);
}

trust::AuditEntry read_entry(db::Statement const& row) {
  return {.seq = row.int64(0),
          .time_ms = row.int64(1),
          .actor = row.text(2),
          .action = row.text(3),
          .subject = row.text(4),
          .before = row.text(5),
          .after = row.text(6),
          .reason = row.text(7),
          .request_id = row.text(8),
          .prev = row.digest(9),
          .hash = row.digest(10)};
}

Result<KeptCheckpoint> checkpoint_of(db::Statement& row, KeptCheckpoint fallback) {
  FLEET_TRY(bool const found, row.step());
  if (!found) return fallback;
  return KeptCheckpoint{row.int64(0), from_unix_ms(row.int64(1)), row.text(2)};
}

}  // namespace

Result<void> append(store::Tx& tx, Entry const& entry) {
  trust::AuditEntry next{.seq = 1,
                         .time_ms = to_unix_ms(entry.time),
                         .actor = entry.actor,
                         .action = entry.action,
                         .subject = entry.subject,
                         .before = compact(entry.before),
                         .after = compact(entry.after),
                         .reason = entry.reason,
                         .request_id = entry.request_id,
                         .prev = {},
                         .hash = {}};
  {
    auto last = tx.prepare(kLastAudit);
    FLEET_TRY(bool const found, last.step());
    if (found) {
      next.seq = last.int64(0) + 1;
      next.prev = last.digest(1);
    }
  }
  next.hash = trust::audit_hash(next);
  auto insert = tx.prepare(kInsertAudit);
  insert.bind_all(next.seq, next.time_ms, next.actor, next.action, next.subject, next.before, next.after, next.reason, next.request_id, next.prev, next.hash);
  return insert.run();
}

Result<void> emit(store::Tx& tx, SysTime time, std::string_view type, std::string_view subject, std::string_view actor, std::string_view data_json) {
  auto insert = tx.prepare(kInsertEvent);
  insert.bind_all(to_unix_ms(time), type, subject, actor, data_json.empty() ? std::string_view("{}") : data_json);
  tx.raise_event_epoch();
  return insert.run();
}

Result<void> record(store::Tx& tx, Entry const& entry) {
  FLEET_CHECK(append(tx, entry));
  return emit(tx, entry.time, entry.action, entry.subject, entry.actor, entry.after);
}

Result<void> record(store::Tx& tx, Deed const& deed, std::string action, std::string subject, std::string before, std::string after) {
  return record(tx, Entry{deed.at, deed.actor, std::move(action), std::move(subject), std::move(before), std::move(after), deed.reason, deed.request_id});
}

Result<KeptCheckpoint> checkpoint(store::Tx& tx, crypto::SigningKey const& key, SysTime now) {
  trust::Checkpoint head{.seq = 0, .hash = {}, .time = now};
  {
    auto last = tx.prepare(kLastAudit);
    FLEET_TRY(bool const found, last.step());
    if (found) {
      head.seq = last.int64(0);
      head.hash = last.digest(1);
    }
  }
  auto known = tx.prepare(kGetCheckpoint);
  known.bind_all(head.seq);
  FLEET_TRY(auto kept, checkpoint_of(known, {}));
  if (kept.seq == head.seq) return kept;
  kept = {head.seq, now, trust::sign_checkpoint(head, key)};
  auto insert = tx.prepare(kInsertCheckpoint);
  insert.bind_all(kept.seq, to_unix_ms(kept.time), kept.envelope);
  FLEET_CHECK(insert.run());
  return kept;
}

Result<std::int64_t> last_sequence(db::Connection& reader) {
  auto row = reader.prepare(kAuditSequence);
  FLEET_CHECK(row.step());
  return row.int64(0);
}

Result<std::int64_t> count_unsigned(db::Connection& connection) {
  auto row = connection.prepare(kUnsigned);
  FLEET_CHECK(row.step());
  return row.int64(0);
}

Result<std::vector<trust::AuditEntry>> list(db::Connection& reader, std::int64_t after, int limit, Filter const& filter) {
  std::vector<trust::AuditEntry> out;
  auto rows = reader.prepare(kFindAudit);
  rows.bind_all(after, limit, filter.actor, filter.action, filter.subject, to_unix_ms(filter.since));
  while (true) {
    FLEET_TRY(bool const found, rows.step());
    if (!found) return out;
    out.push_back(read_entry(rows));
  }
}

Result<std::vector<KeptCheckpoint>> list_checkpoints(db::Connection& reader, std::int64_t after, int limit) {
  std::vector<KeptCheckpoint> out;
  auto rows = reader.prepare(kListCheckpoints);
  rows.bind_all(after, limit);
  while (true) {
    FLEET_TRY(auto one, checkpoint_of(rows, {}));
    if (one.envelope.empty()) return out;
    out.push_back(std::move(one));
  }
}

namespace {

constexpr int kPage = 1'000;  // an engine may hold what it was asked for whole

/// Signed heads in their order.
class Heads {
public:
  explicit Heads(db::Connection& reader) : reader_(reader) {}
  /// An empty envelope at the end.
  Result<KeptCheckpoint> next() {
    if (at_ == page_.size()) {
      FLEET_TRY(page_, list_checkpoints(reader_, last_, kPage));
      at_ = 0;
    }
    if (at_ == page_.size()) return KeptCheckpoint();
    last_ = page_[at_].seq;
    return page_[at_++];
  }

private:
  db::Connection& reader_;
  std::vector<KeptCheckpoint> page_;
  std::size_t at_ = 0;
  std::int64_t last_ = 0;
};

}  // namespace

Result<void> verify(db::Connection& reader, std::optional<crypto::PublicKey> const& key) {
  trust::AuditChain chain;
  Heads heads(reader);
  FLEET_TRY(auto next, heads.next());
  for (;;) {
    // After the head that is next: what it signed was there before it.
    FLEET_TRY(auto const entries, list(reader, chain.size(), kPage));
    if (entries.empty()) break;
    for (auto const& entry : entries) {
      FLEET_CHECK(chain.add(entry));
      if (next.envelope.empty() || next.seq > chain.size()) continue;
      if (key) {
        FLEET_TRY(auto const opened, trust::open_checkpoint(next.envelope, *key));
        FLEET_CHECK(chain.add(opened));
      }
      FLEET_TRY(next, heads.next());
    }
  }
  if (next.envelope.empty()) return {};
  return Error{Kind::corrupt, "audit_truncated", fmt::format("the log ends with entry {}, but entry {} was signed", chain.size(), next.seq)};
}

}  // namespace fleet::events
