#pragma once

#include "agent/delivery/fetcher.hpp"
#include "agent/delivery/shelf.hpp"
#include "core/crypto/data_key.hpp"
#include "core/wire/release.hpp"

#include <atomic>
#include <optional>
#include <semaphore>
#include <string>

namespace fleet::agent {

/// How many recipes are followed at the same instant, of all models: each takes what content::Assembler does, and a block as it was sent.
inline constexpr int kAssemblersMax = 2;
using Assemblers = std::counting_semaphore<kAssemblersMax>;
/// What following a recipe may take.
inline constexpr std::uint64_t kRecipeMemoryMax = 16 * 1024 * 1024;

struct RecipeJob {
  wire::ReleaseFile const& file;
  std::string path;  ///< where it is made
  Digest recipe;
  std::string recipe_path;    ///< verified
  std::string progress_path;  ///< the bitmap
  Shelf const& shelf;         ///< where bases lie
  Assemblers& assemblers;
  std::atomic<std::uint64_t>& left;  ///< bytes that are still to come, kept as they come
  std::optional<crypto::DataKey> key = {};  ///< of a protected release: the recipe is encrypted, and there is no file as it is
};
struct Followed {
  bool whole = false;                        ///< the file is there, and right
  std::optional<std::uint64_t> verified = {};  ///< else: what of it is right, from its start; nothing: not known, the recipe is none
};

/// Makes a file as a recipe says: what lies there already stays (by the bitmap; by the blocks' digests where another recipe, or none, had begun it), wire
/// objects are fetched in stretches and their ranges verified before a decoder sees them, base ranges before they are used, blocks before they are
/// written. A block whose base is not what it should be, or whose object is bad wherever it is asked for, is fetched as it is, out of the whole file; where
/// that is more than a few, or the recipe makes no sense, it leads no further. The bitmap is kept each 8 MiB and 5 s.
/// @errors as download
Result<Followed> follow_recipe(Fetcher const& with, RecipeJob const& job);

}  // namespace fleet::agent
