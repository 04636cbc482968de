#pragma once

#include "cli/client/api.hpp"
#include "core/trust/updater.hpp"

#include <map>
#include <string>

namespace fleet::cli {

/// The server's metadata, fetched and kept for one run, by name: what is trusted is the root that a store is begun with.
class FetchedMetadata final : public trust::Fetcher {
public:
  /// @param folder  `/tuf/`
  FetchedMetadata(Api& api, std::string folder) : api_(api), folder_(std::move(folder)) {}
  Result<Bytes> fetch(std::string const& name, std::uint64_t limit_bytes) override;
  [[nodiscard]] std::map<std::string, Bytes> const& files() const { return files_; }

private:
  Api& api_;
  std::string folder_;
  std::map<std::string, Bytes> files_;
};

/// Trusted metadata in memory.
class MemoryStore final : public trust::MetadataStore {
public:
  Result<std::optional<Bytes>> load(std::string const& role) override;
  Result<void> save(std::string const& role, BytesView bytes) override;
  Result<void> remove(std::string const& role) override;

private:
  std::map<std::string, Bytes> files_;
};

}  // namespace fleet::cli
