#include "core/trust/audit_chain.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::trust;

namespace {

std::vector<AuditEntry> log_of(int count) {
  std::vector<AuditEntry> out;
  Digest head;
  for (int i = 1; i <= count; ++i) {
    AuditEntry entry{.seq = i,
                     .time_ms = 1'790'000'000'123 + i,
                     .actor = "token:ops",
                     .action = "device.labelled",
                     .subject = "device/cam-" + std::to_string(i),
                     .before = i % 2 == 0 ? "" : R"({"site":"a"})",
                     .after = R"({"site":"b","share":1.25E1})",
                     .reason = "because",
                     .request_id = "req",
                     .prev = head,
                     .hash = {}};
    head = entry.hash = audit_hash(entry);
    out.push_back(std::move(entry));
  }
  return out;
}

std::string code_of(std::vector<AuditEntry> const& entries) {
  AuditChain chain;
  for (auto const& entry : entries)
    if (auto const added = chain.add(entry); !added) return added.error().code + ": " + added.error().detail.substr(0, 24);
  return "sound";
}

}  // namespace

TEST_CASE("an entry that was changed, dropped, doubled or moved is named") {
  struct Case {
    std::string_view name;
    void (*harm)(std::vector<AuditEntry>&);
    std::string_view expected;
  };
  for (auto const& c : {
           Case{"nothing", [](auto&) {}, "sound"},
           Case{"a flipped byte", [](auto& log) { log[2].subject[0] = 'D'; }, "audit_changed: audit entry 3 does not f"},
           Case{"another time", [](auto& log) { ++log[4].time_ms; }, "audit_changed: audit entry 5 does not f"},
           Case{"text moved from one field to the next",
                [](auto& log) {
                  log[1].actor = "token:opsd";
                  log[1].action = "evice.labelled";
                },
                "audit_changed: audit entry 2 does not f"},
           Case{"changed, with a hash that fits",
                [](auto& log) {
                  log[2].reason = "no reason";
                  log[2].hash = audit_hash(log[2]);
                },
                "audit_changed: audit entry 4 does not f"},
           Case{"dropped", [](auto& log) { log.erase(log.begin() + 2); }, "audit_gap: audit entry 3 is missing"},
           Case{"the first dropped", [](auto& log) { log.erase(log.begin()); }, "audit_gap: audit entry 1 is missing"},
           Case{"doubled", [](auto& log) { log.insert(log.begin() + 1, log[0]); }, "audit_gap: audit entry 2 is missing"},
           Case{"swapped", [](auto& log) { std::swap(log[1], log[2]); }, "audit_gap: audit entry 2 is missing"},
       }) {
    CAPTURE(c.name);
    auto log = log_of(6);
    c.harm(log);
    CHECK(code_of(log).substr(0, c.expected.size()) == c.expected.substr(0, code_of(log).size()));
  }
}

TEST_CASE("an entry reads back from what an export shows, hash and all") {
  for (auto const& entry : log_of(2)) {
    auto const read = decode_audit_entry(encode(entry));
    REQUIRE(read.has_value());
    CHECK(audit_hash(*read) == entry.hash);
    CHECK(encode(*read) == encode(entry));
  }
  for (auto const text : {"", "[]", "{}", R"({"seq":1})", R"({"seq":"1","time":7})", "{\"seq\":1,"}) CHECK_FALSE(decode_audit_entry(text).has_value());
}

TEST_CASE("a checkpoint holds for the head it was made of, and for its key alone") {
  auto const key = crypto::SigningKey::generate(system_random()), other = crypto::SigningKey::generate(system_random());
  AuditChain chain;
  for (auto const& entry : log_of(3)) REQUIRE(chain.add(entry).has_value());
  Checkpoint const head{3, chain.head(), from_unix_ms(1'790'000'000'000)};
  auto const envelope = sign_checkpoint(head, key);
  auto const opened = open_checkpoint(envelope, key.public_key());
  REQUIRE(opened.has_value());
  CHECK(opened->seq == 3);
  CHECK(opened->time == head.time);
  CHECK(chain.add(*opened).has_value());
  CHECK(open_checkpoint(envelope, other.public_key()).error().kind == Kind::signature);
  auto flipped = envelope;
  flipped[flipped.find("payload\":\"") + 14] ^= 1;
  CHECK_FALSE(open_checkpoint(flipped, key.public_key()).has_value());
  CHECK(chain.add(Checkpoint{2, chain.head(), head.time}).error().code == "audit_order");
  CHECK(chain.add(Checkpoint{3, {}, head.time}).error().code == "audit_rewritten");
}

TEST_CASE("a public key reads back; what is none is refused") {
  auto const key = crypto::SigningKey::generate(system_random()).public_key();
  auto const read = decode_public_key(encode(key));
  REQUIRE(read.has_value());
  CHECK(*read == key);
  for (auto const text : {"", "{}", R"({"keytype":"ed25519","scheme":"ed25519","keyval":{"public":"00"}})", R"({"keytype":"ed25519","scheme":"ed25519"})"})
    CHECK_FALSE(decode_public_key(text).has_value());
}
