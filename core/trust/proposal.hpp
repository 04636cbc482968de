#pragma once

#include "core/trust/compose.hpp"
#include "core/trust/metadata.hpp"

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Metadata that waits for the signatures of keys that lie elsewhere: one JSON file, carried between machines by hand.
namespace fleet::trust {

struct ProposedFile {
  std::string role;    ///< root, targets, m-<model>
  std::string before;  ///< the metadata file that stands now; empty: none yet
  std::string after;   ///< what shall take its place, with the signatures so far
};
struct Proposal {
  static constexpr std::uint64_t kBytesMax = 8 * 1024 * 1024;
  std::string role;                 ///< whose keys or content change
  std::vector<ProposedFile> files;  ///< in the order in which each is judged by the one before
};

/// `{"format":"fleet-proposal-1","role","files":[{"role","before","after"}]}`, keys sorted.
[[nodiscard]] Result<std::string> encode(Proposal const& proposal);
/// Judges no signature. @errors bad_input, too_large
[[nodiscard]] Result<Proposal> decode_proposal(std::string_view text);

/// A key that signs, wherever it lies: in memory or in a token.
struct Signer {
  std::string key_id;
  std::function<Result<Bytes>(BytesView message)> sign;
};
[[nodiscard]] Signer as_signer(SigningKey const& key);

/// The same metadata file with one more signature of each; one by the same key that is there already is replaced. @errors bad_input, and what a signer says
[[nodiscard]] Result<std::string> cosign(std::string_view file, std::span<Signer const> signers);
/// The same metadata file with the signatures of these keys alone. @errors bad_input
[[nodiscard]] Result<std::string> keep_signatures(std::string_view file, std::span<KeySet const> of);

}  // namespace fleet::trust
