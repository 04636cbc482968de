#pragma once

#include "agent/store/trusted_clock.hpp"
#include "agent/trust/folder_store.hpp"
#include "agent/trust/remote.hpp"
#include "core/wire/device.hpp"
#include "core/wire/release.hpp"

#include <string>

namespace fleet::agent {

/// What the device was last told, durable: the floor for sequences, and what to do after a restart without a server.
struct Told {
  std::int64_t sequence = 0;
  SysTime act_before{};
  std::vector<wire::DirectiveTarget> targets;
};
[[nodiscard]] Result<Told> load_told(Fs& fs, std::string const& path);
/// Works also on a full disk, once, where it was made ready for that: a way back may be what it orders.
Result<void> save_told(Fs& fs, std::string const& path, Told const& told);
/// Takes room for the next one. What it cannot have now it gets after the next directive, or at the next start.
void make_told_ready(Fs& fs, std::string const& path);

/// Opens an answer's directive: signed by the `targets` role of the directive root, for this device and this poll's nonce, not expired,
/// its sequence higher than the last, or equal with identical targets (docs/protocol.md, directive). An accepted one sets trusted time's floor.
/// @errors signature, expired, conflict (codes `replayed`, `sequence_leap`), forbidden (code `foreign_directive`), bad_input
class DirectiveVerifier {
public:
  DirectiveVerifier(Fs& fs, Remote& remote, TrustedClock& clock, std::string store_dir, std::string device);
  Result<wire::Directive> verify(std::string const& envelope, std::string const& nonce, Told const& last);

private:
  Remote& remote_;
  TrustedClock& clock_;
  FolderStore store_;
  std::string device_;
};

/// A release that both chains agree on.
struct VerifiedRelease {
  wire::Release release;
  std::string document;  ///< its release.json
};

/// Refreshes the release metadata and fetches the directive's release.json: path, length and hashes as both say.
/// @errors signature, expired, conflict (code `rollback`), not_found, unavailable, timeout
Result<VerifiedRelease> fetch_release(Fs& fs, Remote& remote, TrustedClock const& clock, std::string const& store_dir, wire::DirectiveTarget const& target);

/// Whether this device may adopt it: hardware, match rules, counter not below the floor.
/// @errors unprocessable (code `ineligible`), conflict (code `below_floor`)
Result<void> check_eligible(wire::Release const& release, Identity const& identity, std::int64_t floor, std::uint64_t memory_bytes);

/// Whether a match rule for runtimes holds by what the device reports. A rule of a newer server that this agent cannot read does not hold.
/// @errors unprocessable (code `ineligible`)
Result<void> check_runtime(std::string const& text, wire::Labels const& reported);

/// The owners' word against going back, also to a version that is kept here. @errors conflict (code `below_floor`)
Result<void> check_floor(wire::Release const& release, std::int64_t floor);

/// `models/<model>/<version>/release.json` -> version. @errors bad_input
[[nodiscard]] Result<std::string> version_of_path(std::string const& model, std::string const& path);

}  // namespace fleet::agent
