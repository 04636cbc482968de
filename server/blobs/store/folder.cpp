#include "server/blobs/store/blob_store.hpp"

#include <fmt/format.h>

namespace fleet::blobs {
namespace {

constexpr std::uint64_t kDiskReserve = std::uint64_t{64} << 20;  // whatever is uploaded, the database must go on
constexpr std::uint64_t kMarkMax = 256;
constexpr std::string_view kMarkFile = "/fleet-blobs";

std::string folder_of(std::string const& path) { return path.substr(0, path.rfind('/')); }

class Folder final : public BlobStore {
public:
  Folder(Fs& fs, std::string dir, bool shared) : fs_(fs), dir_(std::move(dir)), shared_(shared) {}
  [[nodiscard]] bool is_shared() const override { return shared_; }
  [[nodiscard]] std::string shared_folder() const override { return shared_ ? dir_ : std::string(); }

  Result<void> check_room(std::uint64_t bytes) override {
    FLEET_TRY(auto const free, fs_.free_bytes(dir_));
    if (free >= kDiskReserve && bytes <= free - kDiskReserve) return {};
    return Error{Kind::unavailable, "disk_full", fmt::format("{} bytes do not fit: the disk has {} free, of which {} are kept for the database", bytes, free, kDiskReserve),
                 "make room on the server's disk"};
  }

  Result<void> begin_upload(std::string_view id) override {
    FLEET_CHECK(fs_.make_dirs(dir_ + "/uploads", 0700));
    FLEET_CHECK(fs_.sync_dir(dir_));
    FLEET_TRY(auto const file, fs_.open(upload_path(dir_, id), Fs::Mode::create_new, 0600));
    return fs_.sync_dir(dir_ + "/uploads");
  }

  Result<void> append(std::string_view id, std::uint64_t offset, BytesView piece) override {
    FLEET_TRY(auto const file, fs_.open(upload_path(dir_, id), Fs::Mode::write));
    FLEET_CHECK(file->write_at(offset, piece));
    return file->sync();
  }

  Result<LocalFile> gather(std::string_view id, std::uint64_t) override {
    auto const path = upload_path(dir_, id);
    FLEET_CHECK(fs_.info(path));
    return LocalFile{path};
  }

  Result<std::vector<Arriving>> arriving() override {
    auto const folder = dir_ + "/uploads";
    auto const names = fs_.list(folder);
    if (!names && names.error().kind == Kind::not_found) return std::vector<Arriving>();
    FLEET_CHECK(names);
    std::vector<Arriving> out;
    for (auto const& name : *names) {
      auto const info = fs_.info(folder + "/" + name);
      if (info && info->type == FileInfo::Type::file) out.push_back({name, info->size, from_unix_ms(info->identity.changed_ns / 1'000'000)});
    }
    return out;
  }

  Result<void> drop_upload(std::string_view id, std::uint64_t) override {
    FLEET_CHECK(gone(upload_path(dir_, id)));
    return {};
  }

  Result<void> keep(Name const& name, std::string_view upload) override { return move(upload_path(dir_, upload), path_of(name)); }

  Result<void> put(std::vector<NewBlob> const& blobs) override {
    for (auto const& [name, bytes] : blobs) {
      auto const path = path_of(name);
      if (fs_.info(path)) {
        FLEET_CHECK(fs_.sync_dir(folder_of(path)));  // who put it there may not have come so far
        continue;
      }
      FLEET_CHECK(fs_.make_dirs(folder_of(path), 0700));
      FLEET_CHECK(fs_.replace(path, bytes, 0600));
    }
    FLEET_CHECK(fs_.sync_dir(dir_ + "/blobs"));
    return fs_.sync_dir(dir_);
  }

  Result<void> put_file(Name const& name, std::string const& from) override {
    auto const path = path_of(name), partial = path + ".partial";
    FLEET_CHECK(fs_.make_dirs(folder_of(path), 0700));
    if (auto const old = fs_.remove(partial); !old && old.error().kind != Kind::not_found) return old;
    FLEET_CHECK(copy(from, partial));
    return move(partial, path);
  }

  Result<bool> remove(Name const& name) override { return gone(path_of(name)); }

  [[nodiscard]] std::optional<LocalFile> here(Name const& name) override { return LocalFile{path_of(name)}; }

  Result<LocalFile> fetch(Name const& name) override {
    auto const path = path_of(name);
    auto const info = fs_.info(path);
    if (!info && info.error().kind != Kind::not_found) return info.error();
    if (info && info->type == FileInfo::Type::file && info->size == name.size) return LocalFile{path};
    return Error{Kind::corrupt, "blob_lost", fmt::format("blob {} is not on the server's disk as its database has it", name.sha256.hex()), "an administrator looks with fleet-server check, and restores a backup"};
  }

  Result<std::shared_ptr<net::Source>> open(Name const&) override { return Error{Kind::internal, "no_source", "files of a folder are sent as files"}; }

  Result<crypto::FileDigest> inspect(Name const& name) override { return crypto::sha256_file(fs_, path_of(name)); }

  Result<std::optional<std::string>> signed_url(Name const&, std::chrono::seconds) override { return std::optional<std::string>(); }

  Result<std::string> read_mark() override { return fs_.read(dir_ + std::string(kMarkFile), kMarkMax); }
  Result<void> mark(std::string_view name) override {
    FLEET_CHECK(fs_.make_dirs(dir_, 0700));
    return fs_.replace(dir_ + std::string(kMarkFile), name, 0600);
  }

  [[nodiscard]] std::optional<s3::Watch::Trouble> trouble() const override { return std::nullopt; }
  [[nodiscard]] std::optional<Figures> figures() const override { return std::nullopt; }

private:
  [[nodiscard]] std::string path_of(Name const& name) const { return dir_ + "/" + relative_path(name); }

  Result<bool> gone(std::string const& path) {
    auto const removed = fs_.remove(path);
    if (!removed && removed.error().kind != Kind::not_found) return removed.error();
    return removed.has_value();
  }

  Result<void> move(std::string const& from, std::string const& to) {
    FLEET_CHECK(fs_.make_dirs(folder_of(to), 0700));
    FLEET_CHECK(fs_.sync_dir(dir_));
    FLEET_CHECK(fs_.sync_dir(dir_ + "/blobs"));
    auto const moved = fs_.rename(from, to);
    if (!moved && !fs_.info(to)) return moved;  // one that was cut moved it already
    return fs_.sync_dir(folder_of(to));
  }

  Result<void> copy(std::string const& from, std::string const& to) {
    FLEET_TRY(auto const source, fs_.open(from, Fs::Mode::read));
    FLEET_TRY(auto const target, fs_.open(to, Fs::Mode::create_new, 0600));
    Bytes piece(1U << 20);
    for (std::uint64_t offset = 0;;) {
      FLEET_TRY(auto const n, source->read_at(offset, piece));
      if (n == 0) return target->sync();
      FLEET_CHECK(target->write_at(offset, BytesView(piece).first(n)));
      offset += n;
    }
  }

  Fs& fs_;
  std::string const dir_;
  bool const shared_;
};

}  // namespace

std::unique_ptr<BlobStore> in_folder(Fs& fs, std::string dir, bool shared) { return std::make_unique<Folder>(fs, std::move(dir), shared); }

}  // namespace fleet::blobs
