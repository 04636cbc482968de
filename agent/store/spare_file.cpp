#include "agent/store/spare_file.hpp"

namespace fleet::agent {
namespace {

constexpr unsigned kOwnerOnly = 0600;

}  // namespace

Result<void> SpareFile::make_ready() {
  auto const there = fs_.info(spare_);
  if (there && there->type == FileInfo::Type::file && there->size == size_) return {};
  // Written, not only allocated: overwriting it then needs nothing.
  return fs_.replace(spare_, std::string(static_cast<std::size_t>(size_), '\0'), kOwnerOnly);
}

Result<void> SpareFile::replace(std::string_view content) {
  auto const written = fs_.replace(path_, content, kOwnerOnly);
  if (written || written.error().code != "disk_full" || content.size() > size_) return written;
  auto const spare = fs_.open(spare_, Fs::Mode::write);
  if (!spare) return written;
  FLEET_CHECK((*spare)->write_at(0, as_bytes(content)));
  FLEET_CHECK((*spare)->truncate(content.size()));
  FLEET_CHECK((*spare)->sync());
  FLEET_CHECK(fs_.rename(spare_, path_));
  return fs_.sync_dir(path_.substr(0, path_.find_last_of('/')));
}

}  // namespace fleet::agent
