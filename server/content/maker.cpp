#include "server/content/maker.hpp"

#include "core/base/log.hpp"
#include "core/content/assemble_file.hpp"
#include "core/content/encode/encoder.hpp"
#include "core/content/sealed_source.hpp"
#include "core/crypto/hash.hpp"
#include "core/wire/release.hpp"
#include "server/blobs/readers.hpp"
#include "server/content/paths.hpp"
#include "server/content/queries.hpp"
#include "server/signing/data_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace fleet::routes {
namespace {

constexpr std::uint64_t kCheckpointBytes = 64U << 20;
constexpr Millis kCheckpointEvery = std::chrono::minutes{1};
constexpr std::uint64_t kSealedSpare = 64 * 1024;  ///< that a file takes encrypted, besides what its blocks do: its recipe
constexpr std::uint64_t kDiskReserve = std::uint64_t{1} << 30;  ///< whatever is prepared, publications and the database must go on

Error interrupted() { return {Kind::unavailable, "interrupted", "the server ends"}; }

/// As a file here, whatever store it is in.
Result<blobs::LocalFile> fetch(MakerContext const& context, Digest const& sha256) {
  FLEET_TRY(auto const name, blobs::find_name(context.store.reader(), sha256));
  if (!name) return blobs::unknown_blob(sha256);
  return context.blobs.fetch(*name);
}

/// A blob that can be let go of while it is read from end to end.
class BlobSource final : public content::Source {
public:
  static Result<std::unique_ptr<BlobSource>> open(MakerContext const& context, Digest const& sha256) {
    FLEET_TRY(auto bytes, fetch(context, sha256));
    FLEET_TRY(auto file, content::FileSource::open(context.fs, bytes.path));
    return std::unique_ptr<BlobSource>(new BlobSource(std::move(bytes), std::move(file), context.stop));
  }
  [[nodiscard]] std::uint64_t size() const override { return file_->size(); }
  Result<void> read(std::uint64_t offset, std::span<std::uint8_t> out) override { return stop_ ? Result<void>(interrupted()) : file_->read(offset, out); }

private:
  BlobSource(blobs::LocalFile bytes, std::unique_ptr<content::FileSource> file, std::atomic<bool> const& stop) : bytes_(std::move(bytes)), file_(std::move(file)), stop_(stop) {}
  blobs::LocalFile bytes_;
  std::unique_ptr<content::FileSource> file_;
  std::atomic<bool> const& stop_;
};

/// A file of a release, and what its tensors are: for external data its neighbours say that.
struct Subject {
  std::unique_ptr<BlobSource> source;
  std::vector<tensors::Tensor> tensors;
};

Result<Subject> open_subject(MakerContext const& context, Digest const& sha256, std::int64_t release, std::int64_t variant) {
  Subject out;
  FLEET_TRY(out.source, BlobSource::open(context, sha256));
  auto row = context.store.reader().prepare(kDocument);
  FLEET_TRY(bool const found, row.bind(1, release).step());
  if (!found) return Error{Kind::not_found, "unknown_release", fmt::format("there is no release {}", release)};
  FLEET_TRY(auto const document, wire::decode_release(row.text_view(2)));
  if (variant < 0 || variant >= std::ssize(document.variants)) return Error{Kind::corrupt, "bad_variant", fmt::format("release {} has no variant {}", release, variant)};
  std::vector<inspect::VariantFile> files;
  std::vector<blobs::LocalFile> held;
  std::string name;
  for (auto const& file : document.variants[static_cast<std::size_t>(variant)].files) {
    FLEET_TRY(auto bytes, fetch(context, file.sha256));
    files.push_back({file.name, bytes.path, file.size});
    held.push_back(std::move(bytes));
    if (file.sha256 == sha256 && name.empty()) name = file.name;
  }
  auto found_tensors = tensors::tensors_of(context.fs, files);
  if (!found_tensors) log::info("content.no_tensors", {{"file", name}, {"error", found_tensors.error().detail}});
  else if (auto const at = found_tensors->find(name); at != found_tensors->end()) out.tensors = std::move(at->second);
  return out;
}

/// What came of it, for its row.
struct Outcome {
  std::string_view state = "failed", kind;
  Digest recipe;
  std::uint64_t recipe_bytes = 0;
  content::RecipeSummary summary;
  std::string why;
};

class Maker {
public:
  Maker(MakerContext const& context, Task const& task) : context_(context), task_(task), dir_(work_dir(context.data_dir, task.n)) {}

  Result<void> run() {
    FLEET_TRY(auto target, open_subject(context_, task_.target, task_.release, task_.variant));
    std::optional<Subject> base;
    if (task_.base != Digest{}) {
      FLEET_TRY(base, open_subject(context_, task_.base, task_.base_release.value_or(0), task_.base_variant.value_or(0)));
    }
    FLEET_CHECK(load_key());
    FLEET_TRY(limit_, limit(target.source->size()));
    FLEET_CHECK(check_disk(limit_));
    FLEET_CHECK(context_.fs.make_dirs(dir_, 0700));
    std::vector<content::Base> bases;
    if (base) bases.push_back({{task_.base, base->source->size()}, base->source.get(), &base->tensors});
    FLEET_TRY(auto const encoder, content::Encoder::whole(*target.source, target.tensors, bases));
    Outcome outcome;
    outcome.kind = !base ? "compressed" : !target.tensors.empty() && !base->tensors.empty() ? "tensor_delta" : "binary_delta";
    FLEET_TRY(auto const recipe, encode(encoder, target.source->size(), outcome));
    if (recipe) FLEET_CHECK(judge(*recipe, base ? base->source.get() : nullptr, outcome));
    return end(outcome);
  }

  /// What cannot be made is said, and not tried again.
  Result<void> fail(Error const& error) { return end({.state = "failed", .kind = {}, .recipe = {}, .recipe_bytes = 0, .summary = {}, .why = fmt::format("{}: {}", error.code, error.detail)}); }

private:
  /// How many bytes it may have to be of use.
  Result<std::uint64_t> limit(std::uint64_t size) {
    if (task_.base == Digest{} && key_) return size + size / 64 + kSealedSpare;
    if (task_.base == Digest{}) return static_cast<std::uint64_t>(kWholeShareMax * static_cast<double>(size));
    auto row = context_.store.reader().prepare(kBytesOf);
    FLEET_TRY(bool const found, row.bind_all(task_.target, Digest{}, task_.sealed).step());
    auto const replaced = found ? std::min(size, static_cast<std::uint64_t>(row.int64(0))) : size;
    return static_cast<std::uint64_t>(kDeltaShareMax * static_cast<double>(replaced));
  }

  Result<void> check_disk(std::uint64_t bytes) {
    FLEET_TRY(auto const free, context_.fs.free_bytes(context_.data_dir));
    if (free >= bytes && free - bytes >= kDiskReserve) return {};
    return Error{Kind::unavailable, "disk_full", fmt::format("{} bytes may be needed, {} are free, of which {} are kept", bytes, free, kDiskReserve)};
  }

  /// @returns the recipe; nothing where it would have too many bytes: the outcome says so
  Result<std::optional<Bytes>> encode(content::Encoder const& encoder, std::uint64_t size, Outcome& outcome) {
    auto const sink = [this](Digest const& digest, BytesView bytes) -> Result<void> { return context_.fs.replace(dir_ + "/" + digest.hex(), as_text(bytes), 0600); };
    content::RecipeBuilder builder(task_.target, size, encoder.bases(), sink);
    std::uint64_t stored = 0;
    if (auto const kept = context_.fs.read(checkpoint_path(), content::kRecipeBytesMax)) {
      auto const resumed = builder.resume(as_bytes(*kept));
      if (!resumed) log::info("content.begun_anew", {{"recipe", task_.n}, {"error", resumed.error().detail}});
      FLEET_TRY(stored, resumed ? stored_in(as_bytes(*kept)) : Result<std::uint64_t>(0));
    }
    auto kept_at = context_.clock.mono();
    auto kept_offset = builder.offset();
    while (builder.blocks() < encoder.blocks()) {
      FLEET_TRY(auto block, encoder.encode(builder.blocks()));
      if (key_) block = content::seal(std::move(block), *key_);
      stored += block.stored.size();
      if (stored > limit_) {
        outcome.state = "refused";
        outcome.why = fmt::format("more than {} bytes", limit_);
        return std::optional<Bytes>{};
      }
      FLEET_CHECK(builder.add(std::move(block)));
      bool const is_time = builder.offset() - kept_offset >= kCheckpointBytes || context_.clock.mono() - kept_at >= kCheckpointEvery;
      if (context_.stop || is_time) {
        FLEET_TRY(auto const checkpoint, builder.checkpoint());
        FLEET_CHECK(context_.fs.replace(checkpoint_path(), as_text(checkpoint), 0600));
        kept_at = context_.clock.mono();
        kept_offset = builder.offset();
      }
      if (context_.stop) return interrupted();
    }
    FLEET_TRY(auto recipe, builder.finish());
    if (key_) recipe = content::seal_pieces(*key_, recipe);
    return std::optional(std::move(recipe));
  }

  static Result<std::uint64_t> stored_in(BytesView checkpoint) {
    content::MemorySource source(checkpoint);
    FLEET_TRY(auto reader, content::RecipeReader::open(source));
    FLEET_TRY(auto const summary, reader.check());
    return summary.stored_bytes;
  }

  /// Follows it as a device would: what is told to be ready makes the file.
  Result<void> judge(Bytes const& bytes, content::Source* base, Outcome& outcome) {
    content::MemorySource sent(bytes);
    std::optional<content::SealedSource> opened;
    if (key_) opened.emplace(sent, *key_);
    content::Source& source = opened ? static_cast<content::Source&>(*opened) : sent;
    FLEET_TRY(auto recipe, content::RecipeReader::open(source));
    FLEET_TRY(outcome.summary, recipe.check());
    outcome.recipe = crypto::sha256(bytes);
    outcome.recipe_bytes = bytes.size();
    if (outcome.summary.segment_bytes + bytes.size() > limit_) {
      outcome.state = "refused";
      outcome.why = fmt::format("{} bytes, at most {} would be of use", outcome.summary.segment_bytes + bytes.size(), limit_);
      return {};
    }
    content::Assembler assembler(key_);
    std::unique_ptr<content::FileSource> object;
    auto const open = [&](content::Segment const& segment) -> Result<content::Source*> {
      FLEET_TRY(object, content::FileSource::open(context_.fs, dir_ + "/" + segment.sha256.hex()));
      return object.get();
    };
    FLEET_CHECK(content::assemble_file(recipe, assembler, {open, {base}}, [this](content::Block const&, BytesView) { return context_.stop ? Result<void>(interrupted()) : Result<void>(); }));
    objects_.emplace(outcome.recipe, bytes.size());
    for (auto const& segment : recipe.head().segments) objects_.emplace(segment.sha256, segment.size);
    FLEET_CHECK(context_.fs.replace(dir_ + "/" + outcome.recipe.hex(), as_text(bytes), 0600));
    outcome.state = "ready";
    return {};
  }

  /// The objects take their places before a row names them; what is left over goes.
  Result<void> end(Outcome const& outcome) {
    bool const ready = outcome.state == "ready";
    for (auto const& [digest, size] : objects_) FLEET_CHECK(place(digest));
    auto const now = to_unix_ms(context_.clock.wall());
    auto const job = [&](store::Tx& tx) -> Result<void> {
      auto const number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
      FLEET_CHECK(tx.prepare(kEnd)
                      .bind_all(task_.n, outcome.state, ready ? std::optional(std::string(outcome.kind)) : std::nullopt, ready ? std::optional(outcome.recipe) : std::nullopt,
                                number(outcome.recipe_bytes), number(outcome.summary.segment_bytes), number(outcome.summary.memory_bytes), db::text_or_null(outcome.why), now)
                      .run());
      for (auto const& [digest, size] : objects_) FLEET_CHECK(tx.prepare(kAddObject).bind_all(digest, task_.n, number(size)).run());
      return {};
    };
    FLEET_CHECK(context_.store.write_wait(store::Lane::upkeep, job));
    log::info("content.made", {{"recipe", task_.n}, {"state", outcome.state}, {"kind", outcome.kind}, {"target", task_.target.hex()}, {"bytes", outcome.summary.segment_bytes + outcome.recipe_bytes}, {"why", outcome.why}});
    return context_.fs.remove_tree(dir_);
  }

  Result<void> place(Digest const& digest) {
    auto const path = object_path(context_.data_dir, digest);
    if (auto const there = context_.fs.info(path); there && there->type == FileInfo::Type::file) return {};
    auto const folder = path.substr(0, path.find_last_of('/'));
    FLEET_CHECK(context_.fs.make_dirs(folder, 0700));
    FLEET_CHECK(context_.fs.rename(dir_ + "/" + digest.hex(), path));
    return context_.fs.sync_dir(folder);
  }

  Result<void> load_key() {
    if (task_.sealed == 0) return {};
    auto row = context_.store.reader().prepare(kDigestOf);
    FLEET_TRY(bool const found, row.bind(1, task_.sealed).step());
    if (!found) return Error{Kind::not_found, "unknown_release", fmt::format("there is no release {}", task_.sealed)};
    FLEET_TRY(key_, signing::data_key(context_.keys, row.digest(0)));
    return {};
  }

  [[nodiscard]] std::string checkpoint_path() const { return dir_ + "/checkpoint"; }

  MakerContext const& context_;
  Task const& task_;
  std::string dir_;
  std::optional<crypto::DataKey> key_;  ///< of a protected release
  std::uint64_t limit_ = 0;
  std::map<Digest, std::uint64_t> objects_;
};

}  // namespace

Result<std::optional<Task>> next_task(db::Connection& reader, std::set<std::int64_t> const& but) {
  auto rows = reader.prepare(kNext);
  rows.bind(1, static_cast<std::int64_t>(but.size()) + 1);
  for (;;) {
    FLEET_TRY(bool const found, rows.step());
    if (!found) return std::optional<Task>();
    if (!but.contains(rows.int64(0)))
      return std::optional(Task{rows.int64(0), rows.digest(1), rows.digest(2), rows.int64(3), rows.int64(4), rows.maybe_int64(5), rows.maybe_int64(6), rows.int64(7)});
  }
}

Result<void> make_recipe(MakerContext const& context, Task const& task) {
  Maker maker(context, task);
  auto const made = maker.run();
  if (made) return {};
  auto const& error = made.error();
  if (error.code == "interrupted" || error.kind == Kind::unavailable || error.kind == Kind::io) return error;
  return maker.fail(error);
}

Result<void> give_up(MakerContext const& context, std::int64_t n, bool again) {
  std::vector<Digest> orphans;
  auto const job = [&](store::Tx& tx) -> Result<void> {
    orphans.clear();
    {
      auto rows = tx.prepare(kOnlyOf);
      rows.bind(1, n);
      for (;;) {
        FLEET_TRY(bool const row, rows.step());
        if (!row) break;
        orphans.push_back(rows.digest(0));
      }
    }
    FLEET_CHECK(tx.prepare(kForgetObjects).bind(1, n).run());
    return tx.prepare(again ? kMakeAgain : kDrop).bind(1, n).run();
  };
  FLEET_CHECK(context.store.write_wait(store::Lane::upkeep, job));
  for (auto const& digest : orphans) {
    auto const gone = context.fs.remove(object_path(context.data_dir, digest));
    if (!gone && gone.error().kind != Kind::not_found) return gone.error();
  }
  return context.fs.remove_tree(work_dir(context.data_dir, n));
}

}  // namespace fleet::routes
