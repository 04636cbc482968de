#pragma once

#include "agent/delivery/lines.hpp"
#include "agent/delivery/sources.hpp"
#include "agent/delivery/throttle.hpp"
#include "agent/slots/slots.hpp"

#include <atomic>
#include <functional>
#include <string>

namespace fleet::agent {

/// Where a download takes files from.
struct DownloadPlan {
  std::string model, digest;
  wire::Variant const& variant;
  std::string hardware;  ///< of this device: which files its kept releases have
  Sources& sources;
  /// Asked at every piece, by one thread at a time: the device's own conditions. Its error ends the download.
  std::function<Result<void>()> may_go_on = {};
};

/// Brings every file of a variant into the staging folder: what is there already stays, what any kept slot has is copied, the rest is fetched, several
/// at once where `lines` has helpers, and resumed from the bytes that are there. Equal files are fetched once. A source that fails, or brings what is
/// not the file, is passed over for the next and left alone for a while. Reserves the space first.
/// @errors unavailable (disk_full, network, interrupted), throttled (over_budget), what `may_go_on` says, timeout, unprocessable (digest_mismatch, too_long: of the last source),
/// not_found
Result<void> download(Fs& fs, Slots& slots, Lines& lines, Throttle& throttle, DownloadPlan const& plan, std::atomic<bool> const& stop);

}  // namespace fleet::agent
