#include "agent/delivery/bundled.hpp"

#include "agent/delivery/copy_file.hpp"
#include "agent/delivery/fetcher.hpp"
#include "agent/delivery/recipe_follow.hpp"
#include "core/base/log.hpp"
#include "core/content/assemble_file.hpp"
#include "core/content/sealed_source.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {

void BundleStock::put(OpenBundle open, std::set<std::string> models) {
  std::lock_guard const lock(mutex_);
  open_ = std::move(open);
  models_ = std::move(models);
  lost_.clear();
  ++times_;
}

std::optional<OpenBundle> BundleStock::get() const {
  std::lock_guard const lock(mutex_);
  return open_;
}

void BundleStock::done(std::string const& model, std::int64_t sequence) {
  std::lock_guard const lock(mutex_);
  if (!open_ || sequence < open_->sequence) return;
  models_.erase(model);
  if (models_.empty()) open_.reset();
}

void BundleStock::lose(std::string const& why) {
  std::lock_guard const lock(mutex_);
  if (!open_) return;
  log::warn("bundle.lost", {{"error", why}});
  open_.reset();
  lost_ = why;
}

std::string BundleStock::lost() const {
  std::lock_guard const lock(mutex_);
  return lost_;
}

int BundleStock::times() const {
  std::lock_guard const lock(mutex_);
  return times_;
}

Result<bool> copy_from_bundle(Fs& fs, bundle::Bundle const& bundle, wire::ReleaseFile const& file, std::string const& path, std::atomic<bool> const& stop) {
  auto const place = bundle.find_blob(file.sha256);
  if (!place || place->size != file.size) return false;
  auto const read = [&](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
    auto const got = bundle.read_at(place->offset + offset, out);
    if (!got) return Error{Kind::unavailable, "bundle_lost", got.error().detail, "put the stick in again, and install once more"};
    return out.size();
  };
  FLEET_TRY(bool const copied, copy_verified(fs, read, file, path, stop));
  if (!copied) log::warn("bundle.wrong_bytes", {{"file", file.name}, {"digest", file.sha256.hex()}});
  return copied;
}

namespace {

/// An object of the bundle.
class BundledSource final : public content::Source {
public:
  BundledSource(bundle::Bundle const& bundle, bundle::Place const& place) : bundle_(bundle), place_(place) {}
  [[nodiscard]] std::uint64_t size() const override { return place_.size; }
  Result<void> read(std::uint64_t offset, std::span<std::uint8_t> out) override {
    if (offset > place_.size || out.size() > place_.size - offset) return Error{Kind::corrupt, "short_read", "a read past the end of an object"};
    auto const got = bundle_.read_at(place_.offset + offset, out);
    return got ? got : Error{Kind::unavailable, "bundle_lost", got.error().detail, "put the stick in again, and install once more"};
  }

private:
  bundle::Bundle const& bundle_;
  bundle::Place place_;
};

/// Whether an object is what it is called.
Result<bool> is_right(content::Source& source, Digest const& digest, std::atomic<bool> const& stop) {
  crypto::Sha256 hash;
  Bytes piece;
  for (std::uint64_t at = 0; at < source.size(); at += piece.size()) {
    if (stop) return interrupted();
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(content::kSealedPieceBytes, source.size() - at)));
    FLEET_CHECK(source.read(at, piece));
    hash.update(piece);
  }
  return hash.finish() == digest;
}

/// One file, block by block. Errors that say what is wrong with the bytes are the bundle's.
Result<void> assemble(bundle::Bundle const& bundle, content::Source& source, wire::ReleaseFile const& file, crypto::DataKey const& key, File& target, std::atomic<bool> const& stop) {
  auto const wrong = [](std::string why) { return Error{Kind::unprocessable, "wrong_bytes", std::move(why)}; };
  content::SealedSource opened(source, key);
  FLEET_TRY(auto recipe, content::RecipeReader::open(opened));
  FLEET_TRY(auto const summary, recipe.check());
  if (recipe.head().sha256 != file.sha256 || recipe.head().size != file.size || summary.memory_bytes > kRecipeMemoryMax) return wrong("the recipe is another file's");
  content::Assembler assembler(key);
  std::optional<BundledSource> object;
  auto const open = [&](content::Segment const& segment) -> Result<content::Source*> {
    auto const place = bundle.find_blob(segment.sha256);
    if (!place || place->size != segment.size) return wrong(fmt::format("object {} is not there", segment.sha256.hex()));
    return &object.emplace(bundle, *place);
  };
  FLEET_CHECK(content::assemble_file(recipe, assembler, {open, {}}, [&](content::Block const& block, BytesView bytes) { return stop ? Result<void>(interrupted()) : target.write_at(block.offset, bytes); }));
  return target.sync();
}

}  // namespace

Result<bool> assemble_from_bundle(Fs& fs, bundle::Bundle const& bundle, wire::ReleaseFile const& file, Digest const& recipe, crypto::DataKey const& key, std::string const& path,
                                  std::atomic<bool> const& stop) {
  auto const place = bundle.find_blob(recipe);
  if (!place) return false;
  BundledSource source(bundle, *place);
  FLEET_TRY(bool const right, is_right(source, recipe, stop));
  auto const made = [&]() -> Result<void> {
    if (!right) return Error{Kind::unprocessable, "wrong_bytes", "the recipe has other bytes"};
    FLEET_TRY(auto const target, fs.open(path, Fs::Mode::append_or_create));
    FLEET_CHECK(target->truncate(0));
    return assemble(bundle, source, file, key, *target, stop);
  }();
  if (made) return true;
  if (made.error().kind != Kind::unprocessable) return made.error();
  log::warn("bundle.wrong_bytes", {{"file", file.name}, {"recipe", recipe.hex()}, {"code", made.error().code}, {"error", made.error().detail}});
  return false;
}

}  // namespace fleet::agent
