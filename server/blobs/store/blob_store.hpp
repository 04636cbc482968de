#pragma once

#include "core/base/fs.hpp"
#include "core/base/time.hpp"
#include "core/crypto/hash.hpp"
#include "core/net/http.hpp"
#include "server/blobs/s3/watch.hpp"
#include "server/blobs/store/lines.hpp"
#include "server/blobs/store/paths.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::blobs {

/// Bytes that lie here as a file, as long as `held` lives.
struct LocalFile {
  std::string path;
  std::shared_ptr<void const> held = {};
};

struct NewBlob {
  Name name;
  std::string_view bytes;
};

/// Where the bytes of blobs lie: DIR/blobs, a folder that nodes share, a bucket. Thread-safe; all but `is_shared`, `here`, `open`, `signed_url` and what tells how it goes block: worker threads only.
/// @errors of all: io, unavailable (`disk_full`, or of a bucket the codes of server/blobs/s3)
class BlobStore {
public:
  virtual ~BlobStore() = default;
  /// Others may write here, too: names end in a generation, and what is not named by the database yet is noted there first.
  [[nodiscard]] virtual bool is_shared() const = 0;
  /// A folder that every node sees; empty: there is none.
  [[nodiscard]] virtual std::string shared_folder() const { return {}; }

  // What is on its way in, by the id of its upload. Any node goes on with it.
  virtual Result<void> check_room(std::uint64_t bytes) = 0;
  virtual Result<void> begin_upload(std::string_view id) = 0;
  /// Durable before it returns; what a cut left behind `offset` goes.
  virtual Result<void> append(std::string_view id, std::uint64_t offset, BytesView piece) = 0;
  /// All of it as one file. @errors not_found
  virtual Result<LocalFile> gather(std::string_view id, std::uint64_t size) = 0;
  struct Arriving {
    std::string id;
    std::uint64_t bytes = 0;
    SysTime touched{};
  };
  /// Uploads of which something lies here, where a store can tell.
  virtual Result<std::vector<Arriving>> arriving() = 0;
  /// Fine where nothing is there.
  virtual Result<void> drop_upload(std::string_view id, std::uint64_t received) = 0;

  /// Moves what `gather` gave among the blobs, durable before it returns; its digest was checked.
  virtual Result<void> keep(Name const& name, std::string_view upload) = 0;
  /// The same of bytes in memory, all of them or an error.
  virtual Result<void> put(std::vector<NewBlob> const& blobs) = 0;
  /// The same of a file from elsewhere, which stays.
  virtual Result<void> put_file(Name const& name, std::string const& path) = 0;
  /// Fine where it is absent. @returns whether it was there, as far as the store tells
  virtual Result<bool> remove(Name const& name) = 0;

  /// Where it lies here already; nothing: it has to be fetched.
  [[nodiscard]] virtual std::optional<LocalFile> here(Name const& name) = 0;
  /// The same, fetched and checked by its digest where need be. @errors corrupt (`blob_lost`: it is not there, or is not itself)
  virtual Result<LocalFile> fetch(Name const& name) = 0;
  /// To be sent while it is brought, by what is not `here`. @errors unavailable (`busy`: too many are)
  virtual Result<std::shared_ptr<net::Source>> open(Name const& name) = 0;
  /// What lies there now, read from end to end. @errors not_found
  virtual Result<crypto::FileDigest> inspect(Name const& name) = 0;
  /// A URL by which anybody reads it for a while; nothing: a store gives none.
  [[nodiscard]] virtual Result<std::optional<std::string>> signed_url(Name const& name, std::chrono::seconds lifetime) = 0;

  /// Which fleet's it is: a name that `mark` left. @errors not_found
  virtual Result<std::string> read_mark() = 0;
  virtual Result<void> mark(std::string_view name) = 0;

  [[nodiscard]] virtual std::optional<s3::Watch::Trouble> trouble() const = 0;
  struct Figures {
    s3::Watch::Figures asked;
    std::uint64_t local_files = 0, local_bytes = 0, found = 0, fetched = 0, streams = 0;
  };
  /// Nothing: its files are our own.
  [[nodiscard]] virtual std::optional<Figures> figures() const = 0;
  /// Does it on a thread of the store's own, once at a time by key. False: it ends, or too much waits.
  bool later(std::string key, std::function<void()> job) { return background_.post(std::move(key), std::move(job)); }
  /// Whoever waits for it is told that it ends.
  virtual void stop() { background_.stop(); }

private:
  Lines background_{1, 16};
};

/// In `dir`: DIR/blobs and DIR/uploads. @param shared  by several nodes
[[nodiscard]] std::unique_ptr<BlobStore> in_folder(Fs& fs, std::string dir, bool shared);

}  // namespace fleet::blobs
