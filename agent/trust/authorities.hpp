#pragma once

#include "agent/store/identity.hpp"
#include "agent/store/trusted_clock.hpp"
#include "agent/trust/directive_root.hpp"

#include <optional>

namespace fleet::agent {

/// Which CAs servers are known by: those of the enrolment, and from then on those that an announcement names (docs/protocol.md, ca). An
/// announcement is signed as directives are, so that it proves itself over any channel: a device that slept through a whole succession asks
/// for it without knowing its server's certificate.
class Authorities {
public:
  Authorities(Fs& fs, Layout const& layout, TrustedClock const& clock);
  /// Of the announcement followed last; 0 for none. One whose signer the directive root no longer names bounds nothing: a thief of that key
  /// must not shut later ones out (as TUF 1.0.34, 5.3.11).
  [[nodiscard]] std::int64_t version();
  /// Asks for the announcement and, where it is newer, keeps its CAs, durably.
  /// @returns them; nothing when it is not newer
  /// @errors signature, expired, bad_input, and what the remote says
  Result<std::optional<std::string>> follow(Remote& remote);

private:
  Fs& fs_;
  Layout layout_;
  TrustedClock const& clock_;
  FolderStore store_;
};

}  // namespace fleet::agent
