// Canonical JSON, metadata of every role, DSSE envelopes, statements, demands, proposals. The first byte chooses.
#include "core/trust/canonical.hpp"
#include "core/trust/dsse.hpp"
#include "core/trust/evidence.hpp"
#include "core/trust/metadata.hpp"
#include "core/trust/proposal.hpp"

#include <cstdlib>

using namespace fleet;

namespace {

void metadata(BytesView bytes) {
  auto const file = trust::read_signed(bytes, 1'000'000);
  if (!file) return;
  static_cast<void>(trust::verify_threshold(*file, {}, "role"));
  static_cast<void>(trust::decode_root(*file));
  static_cast<void>(trust::decode_timestamp(*file));
  static_cast<void>(trust::decode_snapshot(*file));
  auto const targets = trust::decode_targets(*file);
  if (targets) static_cast<void>(targets->roles_for("models/a/1/release.json"));
}

/// A canonical form that is JSON again has itself as its form (raw control characters make it none).
void canonical(BytesView bytes) {
  auto const value = trust::parse_strict(bytes, 1'000'000);
  if (!value) return;
  auto const form = trust::canonical(*value);
  auto const again = trust::parse_strict(as_bytes(form), 1'000'000);
  if (again && trust::canonical(*again) != form) std::abort();
}

/// The bytes are what a known signer signed: a statement.
void statement(BytesView bytes) {
  static auto const key = *crypto::SigningKey::from_seed(Bytes(crypto::SigningKey::kSeedBytes, 7));
  static trust::EvidencePolicy const policy{{{"ci", key.public_key()}},
                                            {{"test-result", {}, 1, "digits", "accuracy", .9, {}, {"*.bin"}}, {"provenance", {}, 1, "digits", {}, {}, {}, {}}}};
  if (bytes.size() > 4096) return;
  auto const envelope = trust::make_envelope("application/vnd.in-toto+json", bytes, {&key, 1});
  static trust::ReleaseFiles const release{"m@1", {{{{"model.bin", std::string(64, 'a')}}, {"cam-a"}, {}}}};
  auto const opened = trust::open_statement(as_bytes(envelope), policy, release);
  if (opened) static_cast<void>(trust::unmet_demands(policy, {*opened}, release));
  else if (opened.error().code == "unknown_signer" && !bytes.empty()) std::abort();
}

/// What was read is written as it is read again.
void written(BytesView bytes) {
  if (auto const policy = trust::decode_evidence_policy(as_text(bytes))) {
    auto const again = trust::decode_evidence_policy(trust::encode(*policy));
    if (!again || trust::encode(*again) != trust::encode(*policy)) std::abort();
  }
  auto const proposal = trust::decode_proposal(as_text(bytes));
  if (!proposal) return;
  for (auto const& file : proposal->files) static_cast<void>(trust::keep_signatures(file.after, {}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  BytesView const bytes(data + 1, size - 1);
  if (data[0] == 'c') canonical(bytes);
  else if (data[0] == 'd') static_cast<void>(trust::open_envelope(bytes, "application/x", {}, 1'000'000));
  else if (data[0] == 's') statement(bytes);
  else if (data[0] == 'w') written(bytes);
  else metadata(bytes);
  return 0;
}
