#pragma once

#include "server/api/route.hpp"

namespace fleet::api {

/// `/tuf/<n>.<role>.json`, `/tuf/timestamp.json`, `/tuf/targets/models/<m>/<v>/<sha256>.release.json` (TUF 1.0.34, 7.3: consistent snapshots).
Result<Reply> get_tuf_file(Services& services, Call const& call, db::Connection& reader);
/// `/blobs/sha256/{digest}`: immutable; If-None-Match and one Range (RFC 9110, 13 and 14) are honoured, anything
/// else is answered whole.
Result<Reply> get_blob(Services& services, Call const& call, db::Connection& reader);

}  // namespace fleet::api
