#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/wire/device.hpp"

#include <string>
#include <vector>

namespace fleet::cli {

/// What one look at a bundle found.
struct BundleCheck {
  std::string check, state, detail;  ///< state: ok, failed, left out
};
struct InspectedBundle {
  std::string about;  ///< what it says of itself, as it stands there: JSON, or empty
  std::vector<wire::Directive> directives;
  std::vector<std::string> releases;  ///< M@V, of which it has the release.json
  std::vector<std::string> hardware;  ///< for which it has every object of all of them
  std::size_t objects = 0;
  std::uint64_t object_bytes = 0;
  std::vector<BundleCheck> checks;
  [[nodiscard]] bool is_sound() const;
};
struct InspectOptions {
  std::string tuf_root, directive_root;  ///< roots to judge by; empty: the bundle's own first ones, which prove that it is whole, not who made it
  bool objects = true;                   ///< compute their digests
};
/// Reads and verifies all that can be without the server. @errors not_found, io, bad_input: it is no bundle
[[nodiscard]] Result<InspectedBundle> inspect_bundle(Fs& fs, std::string const& path, InspectOptions const& options, SysTime now);

}  // namespace fleet::cli
