#pragma once

#include "agent/delivery/lines.hpp"
#include "agent/delivery/recipe_follow.hpp"
#include "agent/delivery/routes.hpp"
#include "agent/delivery/sources.hpp"
#include "agent/delivery/throttle.hpp"
#include "agent/slots/slots.hpp"
#include "core/crypto/data_key.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace fleet::agent {

/// What all downloads share.
struct DownloadRoom {
  Fs& fs;
  Slots& slots;
  Throttle& throttle;
  Sources& sources;
  Assemblers& assemblers;
};
/// What is to be brought.
struct Wanted {
  std::string model, digest;
  wire::Variant variant;
  std::string hardware;  ///< of this device: which files its kept releases have
  std::set<Digest>& spent;  ///< recipes that led nowhere: not taken again, and added to here
  std::optional<crypto::DataKey> key = {};  ///< of a protected release: its files travel by encrypted recipes alone
};

/// Brings every file of a variant into the staging folder: what is there already stays, what any kept slot has is copied, the rest travels by the route of
/// the fewest bytes (docs/protocol.md, routes), or as it is, several files at once where `lines` has helpers, and is resumed from what is there. Equal
/// files travel once. It is planned first, which fetches nothing but the list of routes, and goes then; after an error it is planned anew.
class Download {
public:
  /// @param stop  looked at all the time
  Download(DownloadRoom room, Wanted wanted, std::atomic<bool> const& stop);
  ~Download();

  /// Looks at what is there, and which way the rest comes. @param routes  as the server told them; nothing: none
  /// @errors io, unavailable (interrupted)
  Result<void> plan(std::function<Result<std::optional<wire::ReleaseRoutes>>()> const& routes);
  /// Whether the server has yet to encrypt some of it: there is no way to that now.
  [[nodiscard]] bool lacks_ways() const;
  /// Bytes that are still to be fetched, and to be written, as it stands now.
  [[nodiscard]] std::uint64_t to_fetch() const;
  [[nodiscard]] std::uint64_t to_write() const;
  /// @param may_go_on  asked at every piece, by one thread at a time, and with `more` before anything that makes it dearer than `to_fetch` was: the device's
  ///                   own conditions. Its error ends the download
  /// @errors unavailable (disk_full, network, interrupted), throttled (over_budget), what `may_go_on` says, timeout, unprocessable (digest_mismatch,
  ///         too_long: of the last source), not_found
  Result<void> run(Lines& lines, std::function<Result<void>(bool more)> may_go_on = {});

private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fleet::agent
