#include "cli/commands/audit_log.hpp"

#include <fmt/format.h>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::cli {
namespace json = boost::json;
namespace {

json::value parse_line(std::string_view line) {
  boost::system::error_code fault;
  auto value = json::parse(json::string_view(line.data(), line.size()), fault);
  return fault ? json::value{} : value;
}

/// A member of a line that is a JSON object, as text; empty where it has none.
std::string member_of(json::value const& line, std::string_view key) {
  auto const* const object = line.if_object();
  auto const* const member = object == nullptr ? nullptr : object->if_contains(key);
  return member == nullptr ? std::string() : json::serialize(*member);
}

}  // namespace

void AuditLog::pin(crypto::PublicKey key) {
  key_ = std::move(key);
  pinned_ = true;
}

Result<void> AuditLog::expect(std::string_view line) {
  auto const value = parse_line(line);
  if (!value.is_object()) return Error{Kind::bad_input, "bad_audit_line", "not a JSON object", "give what `fleetctl audit export` wrote, as it is"};
  if (auto envelope = member_of(value, "envelope"); !envelope.empty()) kept_outside_.push_back(std::move(envelope));
  return {};
}

Result<trust::Checkpoint> AuditLog::open(std::string_view envelope) const {
  if (!key_) return Error{Kind::signature, "audit_unsigned", "a checkpoint, but no key to check it with", "--key FILE"};
  return trust::open_checkpoint(envelope, *key_);
}

Result<void> AuditLog::take_key(std::string_view text) {
  FLEET_TRY(auto const named, trust::decode_public_key(text));
  if (key_ && *key_ != named)
    return Error{Kind::signature, "audit_other_key", "the log names another key than the pinned one",
                 "it is the log of another server, or the server lost its key"};
  key_ = named;
  return {};
}

Result<void> AuditLog::add(std::string_view line) {
  auto const value = parse_line(line);
  if (auto const key = member_of(value, "key"); !key.empty()) return take_key(key);
  for (auto const& envelope : kept_outside_) {
    FLEET_TRY(auto const known, open(envelope));
    expected_.insert_or_assign(known.seq, known);
  }
  kept_outside_.clear();
  if (auto const envelope = member_of(value, "envelope"); !envelope.empty()) {
    FLEET_TRY(auto const checkpoint, open(envelope));
    FLEET_CHECK(chain_.add(checkpoint));
    signed_ = checkpoint.seq;
    ++checkpoints_;
    return {};
  }
  FLEET_TRY(auto const entry, trust::decode_audit_entry(line));
  FLEET_CHECK(chain_.add(entry));
  auto const known = expected_.find(entry.seq);
  if (known == expected_.end()) return {};
  FLEET_CHECK(chain_.add(known->second));
  expected_.erase(known);
  return {};
}

Result<AuditLog::Proved> AuditLog::finish() const {
  auto const truncated = [&](std::int64_t last) {
    return Error{Kind::corrupt, "audit_truncated", fmt::format("the log ends with entry {}, expected {} or more", chain_.size(), last), "its end was cut off"};
  };
  if (!kept_outside_.empty() || chain_.size() == 0) return truncated(1);
  if (!expected_.empty()) return truncated(expected_.rbegin()->first);
  if (signed_ == chain_.size()) return Proved{chain_.size(), checkpoints_, chain_.head()};
  return Error{Kind::corrupt, "audit_truncated", fmt::format("entry {} is the last, but the last checkpoint is of {}", chain_.size(), signed_),
               "an export ends with the checkpoint of its last entry: its end was cut off"};
}

}  // namespace fleet::cli
