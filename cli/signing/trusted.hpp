#pragma once

#include "cli/args/refs.hpp"
#include "cli/client/session.hpp"
#include "core/trust/updater.hpp"
#include "core/wire/release.hpp"

#include <optional>
#include <string>

namespace fleet::cli {

/// What the owners signed of one model, found from a root that the person gave: the server is a mirror, no more.
struct TrustedView {
  std::optional<trust::Target> entry;  ///< of the release that was asked for, where a trusted role lists it
  std::optional<Bytes> role;           ///< m-<model> as it stands, judged; nothing where it is delegated to nobody yet
};
/// Root chain, timestamp, snapshot, targets and the model's role (TUF 1.0.34, 5), kept for this one run. @errors as trust::Updater::refresh, and of the file
[[nodiscard]] Result<TrustedView> fetch_trusted(Session& session, Api& api, std::string const& root_file, ReleaseRef const& ref);

/// Whether a file is a root to pin. @errors not_found, bad_input (no_root)
[[nodiscard]] Result<void> check_root_file(Fs& fs, std::string const& path);

/// release.json by its digest, which is computed anew. @errors signature (digest_mismatch), not_found, bad_input
[[nodiscard]] Result<wire::Release> fetch_document(Api& api, ReleaseRef const& ref, std::string const& digest);

}  // namespace fleet::cli
