#include "server/store/postgres/failures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::postgres {
namespace {

struct Meaning {
  std::string_view states;  ///< whose SQLSTATE begins so
  Kind kind;
  std::string_view code;
  std::string_view hint;
};

// The first that fits.
constexpr auto kMeanings = std::to_array<Meaning>({
    {"40001", Kind::unavailable, "run_again", ""},  // serialization_failure
    {"40P01", Kind::unavailable, "run_again", ""},  // deadlock_detected
    {"23", Kind::conflict, "constraint", ""},
    {"53100", Kind::unavailable, "disk_full", "free some space and try again"},
    {"53", Kind::unavailable, "database_busy", ""},     // out of memory, too many connections
    {"55P03", Kind::unavailable, "database_busy", ""},  // lock_timeout
    {"57014", Kind::unavailable, "database_busy", ""},  // statement_timeout
    {"25006", Kind::unavailable, "database_read_only", "the primary takes writes: look where the URL leads"},
    {"25P02", Kind::internal, "transaction_failed", ""},  // what failed before was not told on
    {"25P03", Kind::unavailable, "database_gone", ""},  // idle_in_transaction_session_timeout: it ended the connection
    {"57P", Kind::unavailable, "database_gone", ""},    // shut down, crashed, not up yet
    {"08", Kind::unavailable, "database_gone", ""},
    {"XX001", Kind::corrupt, "database_corrupt", "stop the server and restore a backup"},
    {"XX002", Kind::corrupt, "database_corrupt", "reindex"},
    {"58030", Kind::io, "disk_failed", "look at the disk"},
});

}  // namespace

Error failure(std::string_view sqlstate, std::string_view message, std::string_view doing) {
  while (message.ends_with('\n')) message.remove_suffix(1);
  if (sqlstate.empty()) return {Kind::unavailable, "database_gone", fmt::format("{}: {}", doing, message)};
  auto const detail = fmt::format("{}: {} ({})", doing, message, sqlstate);
  auto const found = std::find_if(kMeanings.begin(), kMeanings.end(), [&](Meaning const& one) { return sqlstate.starts_with(one.states); });
  if (found == kMeanings.end()) return {Kind::io, "database_failed", detail};
  return {found->kind, std::string(found->code), detail, std::string(found->hint)};
}

Error commit_unknown(std::string_view message) {
  while (message.ends_with('\n')) message.remove_suffix(1);
  return {Kind::unavailable, "commit_unknown", fmt::format("commit: {}: it may have happened", message)};
}

bool is_bug(std::string_view sqlstate) { return sqlstate.starts_with("42"); }

}  // namespace fleet::postgres
