#pragma once

#include "agent/store/layout.hpp"
#include "core/base/fs.hpp"
#include "core/base/time.hpp"

#include <optional>
#include <string>

namespace fleet::agent {

/// What starts the agent's own program knows of a release that was switched to and is not proved (docs/adr/0047): a file apart from the journal, whose
/// form no version of the agent changes, because an old program reads what a new one wrote.
struct BootRecord {
  std::string trial;  ///< digest of what is not proved yet
  std::string back;   ///< of what ran before; empty: the program of the package
  int starts = 0;     ///< of the trial, in a row that no ordinary stop ended
  Millis watchdog{0};  ///< after a start it is ended, unless it was proved
  bool operator==(BootRecord const&) const = default;
};
/// Nothing: there is no trial; also where the file was written by nobody. @errors io
[[nodiscard]] Result<std::optional<BootRecord>> load_boot(Fs& fs, Layout const& layout);
/// Durable before it returns.
Result<void> save_boot(Fs& fs, Layout const& layout, BootRecord const& record);
/// The trial is over.
Result<void> forget_boot(Fs& fs, Layout const& layout);

}  // namespace fleet::agent
