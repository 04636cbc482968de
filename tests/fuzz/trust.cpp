// Canonical JSON, metadata of every role, DSSE envelopes. The first byte chooses.
#include "core/trust/canonical.hpp"
#include "core/trust/dsse.hpp"
#include "core/trust/metadata.hpp"

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  BytesView const bytes(data + 1, size - 1);
  if (data[0] == 'c') canonical(bytes);
  else if (data[0] == 'd') static_cast<void>(trust::open_envelope(bytes, "application/x", {}, 1'000'000));
  else metadata(bytes);
  return 0;
}
