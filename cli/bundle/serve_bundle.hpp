#pragma once

#include "core/base/fs.hpp"
#include "core/bundle/bundle.hpp"
#include "core/net/server.hpp"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace fleet::cli {

/// Objects of bundles, by their digest: `GET /blobs/sha256/{digest}` with ranges, and nothing else. Whoever asks is nobody in particular, and believes the bytes
/// by their digest alone. Thread-safe.
class ObjectShelf final : public net::Handler {
public:
  /// Takes the place of what was there. @param bundles  their files; one that is none is passed over, and said
  /// @returns what was passed over, and why
  std::vector<std::string> load(Fs& fs, std::vector<std::string> const& bundles);
  [[nodiscard]] std::size_t objects() const;

  std::uint64_t body_limit(net::Method, std::string_view) override { return 0; }
  void handle(net::Request&& request, net::Responder responder) override;

private:
  struct Place {
    std::string file;
    bundle::Place place;
  };
  [[nodiscard]] net::Response answer(net::Request const& request) const;
  [[nodiscard]] std::optional<Place> find(std::string_view path) const;
  mutable std::mutex mutex_;
  std::map<Digest, Place> objects_;
};

/// The bundles at `path`: itself, or those of a folder (names ending in `.bundle`), with what tells whether any of them changed.
struct FoundBundles {
  std::vector<std::string> files;
  std::vector<FileInfo::Identity> identities;
  bool operator==(FoundBundles const&) const = default;
};
/// @errors not_found, io
[[nodiscard]] Result<FoundBundles> find_bundles(Fs& fs, std::string const& path);

}  // namespace fleet::cli
