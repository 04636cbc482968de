#pragma once

#include "core/base/bytes.hpp"
#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"
#include "core/crypto/hash.hpp"
#include "core/crypto/sealed.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace fleet::admin {

/// One file of a backup. `name` is a safe path relative to the data folder.
struct ArchiveEntry {
  std::string name;
  std::uint64_t size = 0;
  Digest sha256;
  unsigned permissions = 0600;
};

/// A backup file: a line `fleet-backup 1 plain|sealed`, then one stream: eight bytes (big endian) with the length of the manifest, the manifest
/// (JSON: the entries in order), the bytes of each entry. Sealed, the stream is cut into frames of crypto::StreamSealer.
class ArchiveWriter {
public:
  /// Writes to `path`.partial, 0600, until `finish`. @errors conflict (`path` exists), io
  static Result<ArchiveWriter> create(Fs& fs, std::string const& path, std::optional<std::string> const& passphrase, Random& random);
  Result<void> put_manifest(std::vector<ArchiveEntry> const& entries, SysTime now);
  /// The bytes of the next entry, from a file. @errors corrupt (other bytes than the entry says), io
  Result<void> put_file(ArchiveEntry const& entry, std::string const& path);
  /// The bytes of the next entry, which the entry was made from.
  Result<void> put(BytesView bytes);
  Result<void> finish();

private:
  ArchiveWriter(Fs& fs, std::string path, std::unique_ptr<File> file) : fs_(&fs), path_(std::move(path)), file_(std::move(file)) {}
  Result<void> flush(bool last);
  Result<void> append(BytesView bytes);

  Fs* fs_;
  std::string path_;
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
  Bytes buffer_;
  std::optional<crypto::StreamSealer> sealer_;
};

class ArchiveReader {
public:
  /// @errors not_found, bad_input (no backup), unauthenticated (passphrase missing or wrong), corrupt (cut or changed)
  static Result<ArchiveReader> open(Fs& fs, std::string const& path, std::optional<std::string> const& passphrase);
  [[nodiscard]] std::vector<ArchiveEntry> const& entries() const { return entries_; }
  /// Writes the next entry to `path`, checked and synced. Call once an entry, in order. @errors corrupt, io
  Result<void> extract(ArchiveEntry const& entry, std::string const& path);
  /// Nothing may follow the last entry. @errors corrupt
  Result<void> finish();

private:
  ArchiveReader(Fs& fs, std::unique_ptr<File> file) : fs_(&fs), file_(std::move(file)) {}
  Result<void> read_head(std::optional<std::string> const& passphrase);
  Result<void> read_manifest();
  Result<Bytes> read_exactly(std::size_t size);
  Result<std::size_t> read_some(std::span<std::uint8_t> out);
  Result<void> fill();

  Fs* fs_;
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
  std::optional<crypto::StreamOpener> opener_;
  Bytes buffer_;
  std::size_t used_ = 0;
  bool ended_ = false;
  std::vector<ArchiveEntry> entries_;
};

}  // namespace fleet::admin
