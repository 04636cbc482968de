#pragma once

#include "core/base/fs.hpp"
#include "core/crypto/key_files.hpp"
#include "server/admin/layout.hpp"

#include <map>
#include <string>
#include <string_view>

/// What one node hands to another so that it can sign for the fleet: sealed as a whole, never written plain.
namespace fleet::admin {

inline constexpr std::uint64_t kNodeKeysMax = 4 * 1024 * 1024;

struct NodeKeys {
  std::string ca;                           ///< DIR/ca.pem
  std::map<std::string, std::string> files;  ///< by name below DIR: ca.key, ca-next.key, keys/ROLE.key, as they are when opened
};
/// Every private key of a folder but its own server certificate's. @errors io, those of KeyFiles::read
[[nodiscard]] Result<NodeKeys> read_node_keys(Fs& fs, crypto::KeyFiles const& files, Layout const& layout);
[[nodiscard]] std::string encode(NodeKeys const& keys);
/// @errors bad_input (`bad_node_keys`): no such file, or one with a name that is none of a key
[[nodiscard]] Result<NodeKeys> decode_node_keys(std::string_view text);

}  // namespace fleet::admin
