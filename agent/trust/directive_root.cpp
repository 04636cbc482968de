#include "agent/trust/directive_root.hpp"

#include "core/trust/dsse.hpp"
#include "core/wire/device.hpp"

namespace fleet::agent {

Result<Bytes> RemoteFetcher::fetch(std::string const& name, std::uint64_t limit_bytes) {
  FLEET_TRY(auto const response, remote_.get(prefix_ + net::percent_encode(name), limit_bytes));
  return Bytes(response.body.begin(), response.body.end());
}

Result<Bytes> open_by_directive_root(FolderStore& store, Remote& remote, SysTime now, std::string const& envelope, std::string_view payload_type) {
  RemoteFetcher fetcher(remote, kDirectiveRoots);
  FLEET_TRY(auto updater, trust::Updater::load(store, fetcher, now));
  auto opened = trust::open_envelope(as_bytes(envelope), payload_type, updater.role_keys("targets"), wire::kDirectiveBytesMax);
  if (opened && now < updater.root_expires()) return opened;
  FLEET_CHECK(updater.refresh_root());
  return trust::open_envelope(as_bytes(envelope), payload_type, updater.role_keys("targets"), wire::kDirectiveBytesMax);
}

}  // namespace fleet::agent
