#pragma once

#include "core/base/fs.hpp"
#include "core/trust/updater.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fleet::bundle {

/// Names of the files of a bundle, in the order in which they stand there. Metadata and objects lie where the server has them, so that a bundle
/// unpacked below a web server's root is a source of objects.
///   bundle.json                          what it says of itself: a hint for people, believed by nobody
///   directive/<n>.root.json              the directive root and its successors
///   directives/<SHA-256 of the id>.json  the directive of one device: a DSSE envelope
///   tuf/...                              release metadata, and release.json of what is named
///   routes/<release>/<SHA-256 of the hardware>.json  of a protected release: how its files are made of encrypted objects; a DSSE envelope
///   blobs/sha256/<digest>                objects
inline constexpr std::string_view kAbout = "bundle.json", kDirectiveRoots = "directive/", kDirectives = "directives/", kMetadata = "tuf/", kRoutes = "routes/", kBlobs = "blobs/sha256/";

inline constexpr std::size_t kEntriesMax = 65'536;       ///< of all kinds
inline constexpr std::size_t kMetadataFilesMax = 2'048;  ///< besides directives and objects
inline constexpr std::uint64_t kAboutBytesMax = 64 * 1024;
inline constexpr std::uint64_t kDirectiveBytesMax = 512 * 1024;  ///< an envelope: its payload in base64
inline constexpr std::uint64_t kMetadataBytesMax = 8 * 1024 * 1024;

[[nodiscard]] std::string directive_name(std::string_view device);
[[nodiscard]] std::string blob_name(Digest const& digest);
/// @param release  digest of its release.json
[[nodiscard]] std::string routes_name(Digest const& release, std::string_view hardware);

/// Where bytes lie in the file.
struct Place {
  std::uint64_t offset = 0, size = 0;
};

/// A bundle's file, opened: what is in it and where, read by its headers. No content is read before it is asked for, and none is believed here:
/// metadata and directives are verified by who reads them, objects prove themselves by their digest. Reading is thread-safe.
class Bundle {
public:
  /// Reads all headers. @errors bad_input (`bad_tar`; `bad_bundle`: names or an order that no bundle has, or over the limits), io
  static Result<std::shared_ptr<Bundle const>> open(std::unique_ptr<File> file);

  /// A file by its name. @errors not_found, too_large, io
  [[nodiscard]] Result<std::string> read(std::string const& name, std::uint64_t limit) const;
  [[nodiscard]] std::optional<Place> find_blob(Digest const& digest) const;
  /// Fills `out` from `offset` of the file. @errors io (`bundle_cut`: it ends before)
  Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const;
  /// By digest.
  [[nodiscard]] std::vector<std::pair<Digest, Place>> const& blobs() const { return blobs_; }
  /// By SHA-256 of the device's id.
  [[nodiscard]] std::vector<std::pair<Digest, Place>> const& directives() const { return directives_; }
  /// What is neither: by name.
  [[nodiscard]] std::map<std::string, Place, std::less<>> const& files() const { return files_; }

private:
  explicit Bundle(std::unique_ptr<File> file) : file_(std::move(file)) {}
  Result<void> scan();
  Result<void> note(std::string const& name, Place const& place);
  [[nodiscard]] std::optional<Place> find(std::string const& name) const;

  std::unique_ptr<File> file_;
  std::map<std::string, Place, std::less<>> files_;
  std::vector<std::pair<Digest, Place>> directives_, blobs_;
};

/// Metadata from a folder of a bundle.
class BundleFetcher final : public trust::Fetcher {
public:
  BundleFetcher(Bundle const& bundle, std::string_view folder) : bundle_(bundle), folder_(folder) {}
  Result<Bytes> fetch(std::string const& name, std::uint64_t limit_bytes) override;

private:
  Bundle const& bundle_;
  std::string folder_;
};

/// Writes a bundle file after file, in the order of their kinds. What was written is there for good after `finish` alone: until then it is called
/// `path`.partial.
class BundleWriter {
public:
  static Result<BundleWriter> create(Fs& fs, std::string const& path);
  /// @errors bad_input (`bad_name`), io, unavailable (`disk_full`)
  Result<void> put(std::string_view name, std::string_view content);
  /// The head of a file whose bytes follow by `append`, `size` in all.
  Result<void> begin(std::string_view name, std::uint64_t size);
  Result<void> append(BytesView bytes);
  /// @errors internal (fewer or more bytes came than were announced)
  Result<void> end();
  /// @returns the size of the whole
  Result<std::uint64_t> finish();

private:
  BundleWriter(Fs& fs, std::string path, std::unique_ptr<File> file) : fs_(&fs), path_(std::move(path)), file_(std::move(file)) {}
  Result<void> write(BytesView bytes);
  Result<void> flush();

  Fs* fs_;
  std::string path_;
  std::unique_ptr<File> file_;
  Bytes buffer_;
  std::uint64_t offset_ = 0;     ///< of the buffer
  std::uint64_t size_ = 0;       ///< of the file that is being written
  std::uint64_t announced_ = 0;  ///< the same, as `begin` was told
};

}  // namespace fleet::bundle
