#pragma once

#include "agent/store/kept_dirs.hpp"
#include "core/base/fs.hpp"
#include "core/trust/updater.hpp"

#include <string>

namespace fleet::agent {

/// Trusted metadata as files `<role>.json` of one folder, each replaced durably.
class FolderStore final : public trust::MetadataStore {
public:
  FolderStore(Fs& fs, std::string dir) : fs_(fs), dir_(std::move(dir)) {}

  Result<std::optional<Bytes>> load(std::string const& role) override {
    auto const text = fs_.read(path(role), kBytesMax);
    if (!text && text.error().kind == Kind::not_found) return std::optional<Bytes>();
    if (!text) return text.error();
    return std::optional(Bytes(text->begin(), text->end()));
  }
  Result<void> save(std::string const& role, BytesView bytes) override {
    FLEET_CHECK(make_kept_dirs(fs_, dir_.substr(0, dir_.find_last_of('/')), dir_));
    return fs_.replace(path(role), as_text(bytes));
  }
  Result<void> remove(std::string const& role) override { return fs_.remove(path(role)); }

private:
  static constexpr std::uint64_t kBytesMax = 8 * 1024 * 1024;
  [[nodiscard]] std::string path(std::string const& role) const { return dir_ + "/" + role + ".json"; }
  Fs& fs_;
  std::string dir_;
};

}  // namespace fleet::agent
