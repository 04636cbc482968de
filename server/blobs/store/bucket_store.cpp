#include "server/blobs/store/bucket_store.hpp"

#include "core/base/log.hpp"
#include "core/crypto/hash.hpp"
#include "server/blobs/store/copies.hpp"
#include "server/blobs/store/lines.hpp"

#include <fmt/format.h>

#include <atomic>

namespace fleet::blobs {
namespace {

constexpr std::uint64_t kPieceBytesMax = 8U << 20;
constexpr std::uint64_t kMarkMax = 256;
constexpr std::string_view kMarkKey = "fleet-blobs";
constexpr std::size_t kStreamsMax = 512;  ///< each has a piece in memory (core/net): 128 MiB
constexpr std::size_t kThreads = 16, kFillers = 2, kAtOnce = 8;
constexpr std::size_t kFillsMax = 64;
constexpr Millis kCredentialsKept{60'000};

std::string piece_key(std::string_view upload, std::uint64_t offset) { return fmt::format("uploads/{}/{}", upload, offset); }

/// Credentials as they are now: a file that somebody renews is read again each minute.
class Renewed {
public:
  Renewed(Fs& fs, Clock& clock, std::string file, s3::Environment environment) : fs_(fs), clock_(clock), file_(std::move(file)), environment_(std::move(environment)) {}
  Result<s3::Credentials> get() {
    std::lock_guard const lock(mutex_);
    auto const now = clock_.mono();
    if (kept_ && now - read_ < kCredentialsKept) return *kept_;
    auto found = s3::find_credentials(fs_, file_, environment_);
    if (!found && !kept_) return found;
    if (found) kept_ = *found;
    else log::warn("blobs.credentials_unreadable", {{"code", found.error().code}, {"detail", found.error().detail}});
    read_ = now;
    return *kept_;
  }

private:
  Fs& fs_;
  Clock& clock_;
  std::string const file_;
  s3::Environment const environment_;
  std::mutex mutex_;
  std::optional<s3::Credentials> kept_;
  MonoTime read_{};
};

class InBucket;
/// One blob that is sent while it is brought; from its copy once that is there.
class Brought final : public net::Source {
public:
  Brought(InBucket& store, Name name);
  ~Brought() override;
  Brought(Brought const&) = delete;
  Brought& operator=(Brought const&) = delete;
  void read(std::uint64_t offset, std::size_t most, Done done) override;

private:
  InBucket& store_;
  Name const name_;
};

class InBucket final : public BlobStore {
public:
  InBucket(s3::Place const& place, BucketMeans means)
      : fs_(means.fs),
        dir_(std::move(means.dir)),
        transport_(means.transport ? std::move(means.transport) : s3::over_curl(place.ca_file)),
        credentials_(means.fs, means.clock, std::move(means.credentials_file), std::move(means.environment)),
        copies_(means.fs, dir_ + "/copies", means.copies_max),
        bucket_(place, {*transport_, means.clock, means.random, watch_, [this] { return credentials_.get(); }, [this](Millis wait) { return readers_.rest(wait); }}) {}
  ~InBucket() override { stop(); }

  /// Credentials are there, and the folder is.
  Result<void> settle() {
    FLEET_CHECK(credentials_.get());
    FLEET_CHECK(fs_.make_dirs(dir_, 0700));
    FLEET_CHECK(fs_.remove_tree(dir_ + "/gathered"));
    FLEET_CHECK(fs_.make_dirs(dir_ + "/gathered", 0700));
    return copies_.settle();
  }

  [[nodiscard]] bool is_shared() const override { return true; }
  Result<void> check_room(std::uint64_t bytes) override {
    FLEET_TRY(auto const free, fs_.free_bytes(dir_));
    if (bytes <= free) return {};
    return Error{Kind::unavailable, "disk_full", fmt::format("{} bytes do not fit: the disk, where an upload is put together and hashed, has {} free", bytes, free), "make room on the server's disk"};
  }
  Result<void> begin_upload(std::string_view) override { return {}; }
  Result<void> append(std::string_view id, std::uint64_t offset, BytesView piece) override { return piece.empty() ? Result<void>() : bucket_.put(piece_key(id, offset), as_text(piece)); }

  /// Pieces lie by their offset, and each tells by its length where the next one is.
  Result<LocalFile> gather(std::string_view id, std::uint64_t size) override {
    auto const path = gathered(id);
    if (auto const old = fs_.remove(path); !old && old.error().kind != Kind::not_found) return old.error();
    FLEET_TRY(auto const file, fs_.open(path, Fs::Mode::create_new, 0600));
    for (std::uint64_t have = 0; have < size;) {
      auto const piece = bucket_.get_small(piece_key(id, have), kPieceBytesMax);
      if (!piece && piece.error().kind == Kind::not_found) return Error{Kind::not_found, "no_piece", fmt::format("the piece of upload {} at {} is gone", id, have)};
      FLEET_CHECK(piece);
      if (piece->empty() || piece->size() > size - have) return Error{Kind::unavailable, "blobs_altered", fmt::format("the piece of upload {} at {} has {} bytes", id, have, piece->size())};
      FLEET_CHECK(file->write_at(have, as_bytes(*piece)));
      have += piece->size();
    }
    FLEET_CHECK(file->sync());
    return LocalFile{path};
  }

  Result<std::vector<Arriving>> arriving() override { return std::vector<Arriving>(); }
  Result<void> drop_upload(std::string_view id, std::uint64_t received) override {
    if (auto const gone = fs_.remove(gathered(id)); !gone && gone.error().kind != Kind::not_found) return gone;
    for (std::uint64_t at = 0;;) {
      auto const size = at < received ? bucket_.size(piece_key(id, at)) : Result<std::uint64_t>(0);
      if (!size && size.error().kind != Kind::not_found) return size.error();
      FLEET_CHECK(bucket_.remove(piece_key(id, at)));
      if (!size || *size == 0) return {};  // one more than was counted may have come
      at += *size;
    }
  }

  Result<void> keep(Name const& name, std::string_view upload) override {
    FLEET_CHECK(bucket_.put_file(relative_path(name), fs_, gathered(upload), name.size));
    return copies_.adopt(name, gathered(upload));
  }

  Result<void> put(std::vector<NewBlob> const& blobs) override {
    return in_parallel(kAtOnce, blobs.size(), [&](std::size_t i) { return bucket_.put(relative_path(blobs[i].name), blobs[i].bytes); });
  }
  Result<void> put_file(Name const& name, std::string const& path) override { return bucket_.put_file(relative_path(name), fs_, path, name.size); }
  Result<bool> remove(Name const& name) override {
    copies_.forget(name);
    FLEET_CHECK(bucket_.remove(relative_path(name)));
    return true;
  }

  [[nodiscard]] std::optional<LocalFile> here(Name const& name) override {
    if (copies_.is_over()) later("trim", [this] { copies_.trim(); });
    return copies_.find(name);
  }
  Result<LocalFile> fetch(Name const& name) override {
    return copies_.fetch(name, [this](Name const& of, std::string const& path) { return bring(of, path); });
  }

  Result<std::shared_ptr<net::Source>> open(Name const& name) override {
    if (streams_ >= kStreamsMax) return Error{Kind::unavailable, "busy", fmt::format("{} files are on their way from the store of blobs already", kStreamsMax), "ask again in a moment"};
    if (copies_.would_fit(name.size)) fillers_.post(fmt::format("{}.{}", name.sha256.hex(), name.generation), [this, name] { fill(name); });
    return std::shared_ptr<net::Source>(std::make_shared<Brought>(*this, name));
  }

  Result<crypto::FileDigest> inspect(Name const& name) override {
    crypto::Sha256 hash;
    FLEET_CHECK(bucket_.stream(relative_path(name), name.size, [&](BytesView piece) -> Result<void> {
      hash.update(piece);
      return {};
    }));
    return crypto::FileDigest{hash.finish(), name.size};
  }

  Result<std::optional<std::string>> signed_url(Name const& name, std::chrono::seconds lifetime) override {
    FLEET_TRY(auto url, bucket_.signed_url(relative_path(name), lifetime));
    return std::optional(std::move(url));
  }
  Result<std::string> read_mark() override { return bucket_.get_small(kMarkKey, kMarkMax); }
  Result<void> mark(std::string_view name) override { return bucket_.put(kMarkKey, name); }

  [[nodiscard]] std::optional<s3::Watch::Trouble> trouble() const override { return watch_.trouble(); }
  [[nodiscard]] std::optional<Figures> figures() const override {
    auto const copies = copies_.figures();
    return Figures{watch_.figures(), copies.files, copies.bytes, copies.found, copies.fetched, streams_};
  }

  void stop() override {
    transport_->stop();
    readers_.stop();
    fillers_.stop();
    BlobStore::stop();
  }

private:
  friend Brought;

  [[nodiscard]] std::string gathered(std::string_view upload) const { return fmt::format("{}/gathered/{}", dir_, upload); }

  /// From the bucket into a file, hashed on the way.
  Result<void> bring(Name const& name, std::string const& path) {
    FLEET_TRY(auto const file, fs_.open(path, Fs::Mode::create_new, 0600));
    crypto::Sha256 hash;
    std::uint64_t have = 0;
    auto const streamed = bucket_.stream(relative_path(name), name.size, [&](BytesView piece) -> Result<void> {
      hash.update(piece);
      FLEET_CHECK(file->write_at(have, piece));
      have += piece.size();
      return {};
    });
    auto const lost = [&](std::string detail) {
      Error out{Kind::corrupt, "blob_lost", std::move(detail), "an administrator looks with fleet-server check, and restores a backup"};
      watch_.stumbled({Kind::unavailable, "blobs_altered", {}}, false);
      log::error("blobs.lost", {{"blob", relative_path(name)}, {"detail", out.detail}});
      return out;
    };
    if (!streamed && streamed.error().kind == Kind::not_found) return lost(fmt::format("blob {} is not in the store of blobs", name.sha256.hex()));
    FLEET_CHECK(streamed);
    if (auto const found = hash.finish(); found != name.sha256) return lost(fmt::format("blob {}: the store of blobs gives bytes of digest {}", name.sha256.hex(), found.hex()));
    return file->sync();
  }

  void fill(Name const& name) {
    auto const filled = fetch(name);
    if (!filled) log::warn("blobs.not_copied", {{"blob", relative_path(name)}, {"code", filled.error().code}, {"detail", filled.error().detail}});
  }

  Fs& fs_;
  std::string const dir_;
  s3::Watch watch_;
  std::unique_ptr<s3::Transport> transport_;
  Renewed credentials_;
  Copies copies_;
  std::atomic<std::size_t> streams_{0};
  s3::Bucket bucket_;
  Lines readers_{kThreads, 2 * kStreamsMax};
  Lines fillers_{kFillers, kFillsMax};
};

Brought::Brought(InBucket& store, Name name) : store_(store), name_(std::move(name)) { ++store_.streams_; }
Brought::~Brought() { --store_.streams_; }

void Brought::read(std::uint64_t offset, std::size_t most, Done done) {
  auto const shared = std::make_shared<Done>(std::move(done));
  auto const length = std::min<std::uint64_t>(most, name_.size - std::min(offset, name_.size));
  bool const taken = store_.readers_.post({}, [&store = store_, name = name_, offset, length, shared] {
    if (auto const copy = store.copies_.find(name)) {
      auto const file = store.fs_.open(copy->path, Fs::Mode::read);
      std::string out(static_cast<std::size_t>(length), '\0');
      auto const got = file ? (*file)->read_at(offset, {reinterpret_cast<std::uint8_t*>(out.data()), out.size()}) : Result<std::size_t>(file.error());
      out.resize(got ? *got : 0);
      return (*shared)(got ? Result<std::string>(std::move(out)) : Result<std::string>(got.error()));
    }
    auto got = store.bucket_.get(relative_path(name), offset, length, name.size);
    if (!got && got.error().kind == Kind::not_found) got = Error{Kind::unavailable, "blob_lost", fmt::format("blob {} is not in the store of blobs", name.sha256.hex()), "an administrator looks with fleet-server check"};
    (*shared)(std::move(got));
  });
  if (!taken) (*shared)(Error{Kind::unavailable, "busy", "too much is asked of the store of blobs at once", "ask again in a moment"});
}

}  // namespace

Result<std::unique_ptr<BlobStore>> in_bucket(s3::Place const& place, BucketMeans means) {
  auto out = std::make_unique<InBucket>(place, std::move(means));
  FLEET_CHECK(out->settle());
  return std::unique_ptr<BlobStore>(std::move(out));
}

}  // namespace fleet::blobs
