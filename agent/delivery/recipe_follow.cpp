#include "agent/delivery/recipe_follow.hpp"

#include "agent/delivery/progress.hpp"
#include "agent/delivery/stretch.hpp"
#include "core/base/log.hpp"
#include "core/content/recipe.hpp"
#include "core/content/sealed_source.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

using content::Block;

constexpr Millis kKeepEvery{5'000};
constexpr std::uint64_t kAsIsMax = 4 * 1024 * 1024;  ///< of blocks that are fetched as they are, or a twentieth of the file, before a recipe is given up

class Follow {
public:
  Follow(Fetcher const& with, RecipeJob const& job, content::RecipeReader& recipe, File& target)
      : with_(with), job_(job), recipe_(recipe), target_(target), progress_(Progress::load(with.fs, job.progress_path, job.recipe, recipe.head().blocks)) {}

  Result<Followed> run() {
    FLEET_CHECK(open_bases());
    if (!progress_.was_kept()) FLEET_CHECK(look());
    kept_at_ = with_.throttle.now();
    FLEET_TRY(auto const done, first_open());
    if (done > 0) log::info("download.resumed", {{"file", job_.file.name}, {"bytes", done}, {"of", job_.file.size}, {"by_bitmap", progress_.was_kept()}});
    for (int round = 0; round < 2; ++round) {
      FLEET_CHECK(count_left());
      FLEET_TRY(bool const all, pass());
      FLEET_CHECK(keep());
      if (!all) break;
      FLEET_TRY(bool const right, is_right());
      if (right) return Followed{true, job_.file.size};
      FLEET_CHECK(look());  // the disk has not what the bitmap says
      FLEET_CHECK(keep());
    }
    FLEET_TRY(auto const verified, first_open());
    return Followed{false, verified};
  }

private:
  Result<void> open_bases() {
    for (auto const& base : recipe_.head().bases) {
      std::vector<std::unique_ptr<content::FileSource>> sources;
      for (auto const& place : job_.shelf.find(with_.fs, base.sha256, base.size))
        if (auto opened = content::FileSource::open(with_.fs, place.path())) sources.push_back(std::move(*opened));
      bases_.push_back(std::move(sources));
    }
    return {};
  }

  /// Calls `visit(index, block)` for each block.
  template <class F>
  Result<void> each(F&& visit) {
    recipe_.rewind();
    for (std::uint64_t index = 0;; ++index) {
      if (with_.stop) return interrupted();
      FLEET_TRY(auto const block, recipe_.next());
      if (!block) return {};
      FLEET_CHECK(visit(index, *block));
    }
  }

  Result<BytesView> read_back(std::uint64_t offset, std::uint64_t length) {
    piece_.resize(static_cast<std::size_t>(length));
    for (std::size_t at = 0; at < piece_.size();) {
      FLEET_TRY(auto const n, target_.read_at(offset + at, std::span(piece_).subspan(at)));
      if (n == 0) return BytesView(piece_).first(at);
      at += n;
    }
    return BytesView(piece_);
  }

  /// What lies there, by the digests of its blocks.
  Result<void> look() {
    FLEET_TRY(auto const size, target_.size());
    return each([&](std::uint64_t index, Block const& block) -> Result<void> {
      bool there = block.offset + block.length <= size;
      if (there) {
        FLEET_TRY(auto const bytes, read_back(block.offset, block.length));
        there = crypto::sha256(bytes) == block.sha256;
      }
      progress_.set(index, there);
      return {};
    });
  }

  Result<void> count_left() {
    std::uint64_t left = 0;
    auto const count = [&](std::uint64_t index, Block const& block) -> Result<void> {
      if (!progress_.has(index) && block.stored) left += block.stored->length;
      return {};
    };
    FLEET_CHECK(each(count));
    job_.left = left;
    return {};
  }

  /// From its start, how much is there for certain.
  Result<std::uint64_t> first_open() {
    std::uint64_t verified = 0;
    auto const count = [&](std::uint64_t index, Block const& block) -> Result<void> {
      if (progress_.has(index) && block.offset == verified) verified += block.length;
      return {};
    };
    FLEET_CHECK(each(count));
    return verified;
  }

  /// Makes what is open, in order. @returns false where the recipe leads no further
  Result<bool> pass() {
    hash_ = {};
    hashed_ = 0;
    bool all = true;
    std::vector<Piece> batch;
    auto const flush = [&]() -> Result<void> {
      if (batch.empty() || !all) return {};
      FLEET_TRY(all, make(batch));
      batch.clear();
      return {};
    };
    auto const visit = [&](std::uint64_t index, Block const& block) -> Result<void> {
      if (!all) return {};
      bool const done = progress_.has(index);
      if (done || !fits(batch, block)) FLEET_CHECK(flush());
      if (done) return hash_from_disk(block.offset, block.length);
      batch.push_back({index, block});
      return {};
    };
    FLEET_CHECK(each(visit));
    FLEET_CHECK(flush());
    return all;
  }

  Result<bool> make(std::vector<Piece> const& batch) {
    std::vector<Piece> as_is;
    {
      FLEET_TRY(auto const turn, take_turn());
      auto const write = [this](Piece const& piece, BytesView bytes) { return this->write(piece, bytes); };
      FLEET_TRY(as_is, fetch_stretch(with_, {recipe_.head().segments, bases_, batch, job_.left, job_.key}, write));
    }
    if (job_.key && !as_is.empty()) return false;
    for (auto const& piece : as_is) {
      as_is_ += piece.block.length;
      if (as_is_ > std::max(kAsIsMax, job_.file.size / 20)) return false;
    }
    for (auto const& piece : as_is) {
      job_.left += piece.block.length;
      auto const fetched = fetch_as_is(piece);
      if (!fetched && (fetched.error().kind == Kind::not_found || is_lie(fetched.error()))) return false;
      FLEET_CHECK(fetched);
    }
    return true;
  }

  Result<void> fetch_as_is(Piece const& piece) {
    auto const& block = piece.block;
    if (with_.may_go_on) FLEET_CHECK(with_.may_go_on(true));
    log::info("download.as_is", {{"file", job_.file.name}, {"offset", block.offset}, {"bytes", block.length}});
    Bytes bytes;
    FLEET_CHECK(fetch_range(with_, {job_.file.sha256, block.offset, block.offset + block.length, job_.file.size}, block.sha256, job_.left, bytes));
    return write(piece, bytes);
  }

  struct Turn {
    explicit Turn(Assemblers& assemblers) : held(&assemblers) {}
    Turn(Turn&& other) noexcept : held(std::exchange(other.held, nullptr)) {}
    ~Turn() {
      if (held != nullptr) held->release();
    }
    Assemblers* held;
  };
  Result<Turn> take_turn() {
    while (!job_.assemblers.try_acquire_for(Millis{100}))
      if (with_.stop) return interrupted();
    return Turn(job_.assemblers);
  }

  Result<void> write(Piece const& piece, BytesView bytes) {
    FLEET_CHECK(target_.write_at(piece.block.offset, bytes));
    progress_.set(piece.index, true);
    if (piece.block.offset == hashed_) {
      hash_.update(bytes);
      hashed_ += bytes.size();
    }
    unkept_ += bytes.size();
    return unkept_ >= kSyncEvery || with_.throttle.now() - kept_at_ >= kKeepEvery ? keep() : Result<void>{};
  }

  Result<void> keep() {
    FLEET_CHECK(target_.sync());
    unkept_ = 0;
    kept_at_ = with_.throttle.now();
    return progress_.keep(with_.fs);
  }

  /// Where it goes on from what was hashed so far.
  Result<void> hash_from_disk(std::uint64_t offset, std::uint64_t length) {
    if (offset != hashed_) return {};
    FLEET_TRY(auto const bytes, read_back(offset, length));
    hash_.update(bytes);
    hashed_ += bytes.size();
    return {};
  }

  Result<bool> is_right() {
    while (hashed_ < job_.file.size) {
      if (with_.stop) return interrupted();
      auto const before = hashed_;
      FLEET_CHECK(hash_from_disk(hashed_, std::min<std::uint64_t>(kPieceBytes, job_.file.size - hashed_)));
      if (hashed_ == before) return false;
    }
    return hash_.finish() == job_.file.sha256;
  }

  Fetcher const& with_;
  RecipeJob const& job_;
  content::RecipeReader& recipe_;
  File& target_;
  Progress progress_;
  BaseSources bases_;
  Bytes piece_;
  crypto::Sha256 hash_;
  std::uint64_t hashed_ = 0;  ///< of the output, from its start
  std::uint64_t as_is_ = 0;
  std::uint64_t unkept_ = 0;
  MonoTime kept_at_{};
};

/// @returns nothing where the recipe is none for this file
Result<std::optional<content::RecipeReader>> open_recipe(content::Source& source, wire::ReleaseFile const& file) {
  auto opened = content::RecipeReader::open(source);
  auto const summary = opened ? opened->check() : Result<content::RecipeSummary>(opened.error());
  if (!summary && summary.error().code != "bad_recipe" && summary.error().code != "not_opened") return summary.error();
  if (!summary) log::warn("download.bad_recipe", {{"file", file.name}, {"error", summary.error().detail}});
  bool const fits = summary && opened->head().sha256 == file.sha256 && opened->head().size == file.size && summary->memory_bytes <= kRecipeMemoryMax;
  if (!fits) return std::optional<content::RecipeReader>{};
  return std::optional(*std::move(opened));
}

}  // namespace

Result<Followed> follow_recipe(Fetcher const& with, RecipeJob const& job) {
  FLEET_TRY(auto const sent, content::FileSource::open(with.fs, job.recipe_path));
  std::optional<content::SealedSource> opened;
  if (job.key) opened.emplace(*sent, *job.key);
  content::Source& source = opened ? static_cast<content::Source&>(*opened) : *sent;
  FLEET_TRY(auto recipe, open_recipe(source, job.file));
  if (!recipe) return Followed{};
  FLEET_TRY(auto const target, with.fs.open(job.path, Fs::Mode::append_or_create));
  FLEET_TRY(auto const size, target->size());
  if (size > job.file.size) FLEET_CHECK(target->truncate(job.file.size));
  auto followed = Follow(with, job, *recipe, *target).run();
  // What the disk refused once is not believed where it is read back: such a file is begun anew.
  if (!followed && followed.error().kind == Kind::io) {
    static_cast<void>(with.fs.remove(job.path));
    static_cast<void>(with.fs.remove(job.progress_path));
  }
  return followed;
}

}  // namespace fleet::agent
