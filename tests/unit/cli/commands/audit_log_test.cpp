#include "tests/unit/cli/bench.hpp"

#include "core/base/random.hpp"
#include "core/trust/audit_chain.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace fleet;
using namespace fleet::cli::testing;

namespace {

/// A log of one entry with its checkpoint, as `audit export` writes it.
std::string exported_log() {
  auto const key = crypto::SigningKey::generate(system_random());
  trust::AuditEntry entry;
  entry.seq = 1;
  entry.actor = "token:ops";
  entry.action = "device.retired";
  entry.subject = "device/cam-1";
  entry.hash = trust::audit_hash(entry);
  auto const envelope = trust::sign_checkpoint({1, entry.hash, from_unix_ms(1'000)}, key);
  return fmt::format("{{\"key\":{}}}\n{}\n{{\"seq\":1,\"envelope\":{}}}\n", trust::encode(key.public_key()), trust::encode(entry), envelope);
}

}  // namespace

TEST_CASE("an older export that proves nothing is refused, not passed over") {
  Bench bench;
  auto const log = exported_log();
  auto const path = bench.folder.write("now.jsonl", log);
  CHECK(bench.run({"audit", "verify", path, "--against", path}) == 0);
  CHECK(bench.console.stdout_text.starts_with("sound: 1 entries, 1 checkpoints"));

  struct Case {
    std::string content, expected;
  };
  for (auto const& [content, expected] : {Case{"", "there is no checkpoint in it"}, Case{log.substr(0, log.rfind("{\"seq\"")), "there is no checkpoint in it"},
                                          Case{log + "last month's log\n", "line 4: not a JSON object"}, Case{"[1]\n", "line 1: not a JSON object"}}) {
    CAPTURE(content);
    auto const old = bench.folder.write("old.jsonl", content);
    CHECK(bench.run({"audit", "verify", path, "--against", old}) == 2);
    CHECK_MESSAGE(bench.console.stderr_text.find(expected) != std::string::npos, bench.console.stderr_text);
    CHECK(bench.console.stdout_text.empty());
  }
}
