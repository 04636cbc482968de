#pragma once

#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"

#include <optional>
#include <string>
#include <vector>

namespace fleet::nodes {

/// What a data folder on a PostgreSQL says of itself: DIR/node.json.
struct Identity {
  std::string id;                    ///< `node-` and 26 characters
  std::vector<std::string> hosts{};  ///< of its certificate, beside those of the fleet
};
/// Nothing where the folder is no node yet. @errors corrupt (`bad_node_file`), io
[[nodiscard]] Result<std::optional<Identity>> load_identity(Fs& fs, std::string const& file);
/// Durable before it returns.
Result<void> save_identity(Fs& fs, std::string const& file, Identity const& identity);
[[nodiscard]] std::string make_id(SysTime now, Random& random);
/// The machine's own name, for people.
[[nodiscard]] std::string host_name();

}  // namespace fleet::nodes
