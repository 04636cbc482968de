#include "agent/trust/directive_root.hpp"

#include "core/trust/dsse.hpp"
#include "core/wire/device.hpp"

#include <fmt/format.h>

namespace fleet::agent {

Result<Bytes> RemoteFetcher::fetch(std::string const& name, std::uint64_t limit_bytes) {
  FLEET_TRY(auto const response, remote_.get(prefix_ + net::percent_encode(name), limit_bytes));
  return Bytes(response.body.begin(), response.body.end());
}

Result<Bytes> open_by_directive_root(FolderStore& store, Remote& remote, SysTime now, std::string const& envelope, std::string_view payload_type) {
  RemoteFetcher fetcher(remote, kDirectiveRoots);
  return open_by_directive_root(store, fetcher, now, envelope, payload_type);
}

Result<Bytes> open_by_directive_root(FolderStore& store, trust::Fetcher& roots, SysTime now, std::string const& envelope, std::string_view payload_type) {
  FLEET_TRY(auto updater, trust::Updater::load(store, roots, now));
  auto opened = trust::open_envelope(as_bytes(envelope), payload_type, updater.role_keys("targets"), wire::kDirectiveBytesMax);
  if (opened && now < updater.root_expires()) return opened;
  FLEET_CHECK(updater.refresh_root());
  return trust::open_envelope(as_bytes(envelope), payload_type, updater.role_keys("targets"), wire::kDirectiveBytesMax);
}

Result<Bytes> open_by_kept_root(FolderStore& store, SysTime now, std::string const& envelope, std::string_view payload_type, std::size_t limit_bytes) {
  NoFetcher fetcher;
  FLEET_TRY(auto const updater, trust::Updater::load(store, fetcher, now));
  if (now >= updater.root_expires()) return Error{Kind::expired, "expired", fmt::format("the directive root expired {}", to_rfc3339(updater.root_expires()))};
  return trust::open_envelope(as_bytes(envelope), payload_type, updater.role_keys("targets"), limit_bytes);
}

}  // namespace fleet::agent
