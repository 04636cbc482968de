#pragma once

#include "agent/trust/folder_store.hpp"
#include "agent/trust/remote.hpp"

#include <string>

namespace fleet::agent {

/// Metadata from a folder of the server.
class RemoteFetcher final : public trust::Fetcher {
public:
  RemoteFetcher(Remote& remote, std::string prefix) : remote_(remote), prefix_(std::move(prefix)) {}
  Result<Bytes> fetch(std::string const& name, std::uint64_t limit_bytes) override;

private:
  Remote& remote_;
  std::string prefix_;
};

inline constexpr char kDirectiveRoots[] = "/device/v1/directive/";

/// The payload of a DSSE envelope that the `targets` role of the directive root signed. The kept root serves until a signature no longer
/// fits, or it has expired: then its successors are asked for. @errors signature, expired, bad_input, and what the remote says
/// @param roots  where successors come from
[[nodiscard]] Result<Bytes> open_by_directive_root(FolderStore& store, trust::Fetcher& roots, SysTime now, std::string const& envelope, std::string_view payload_type);
[[nodiscard]] Result<Bytes> open_by_directive_root(FolderStore& store, Remote& remote, SysTime now, std::string const& envelope, std::string_view payload_type);
/// The same by the kept root alone, which whoever verifies directives keeps up to date. @errors signature, expired, bad_input
[[nodiscard]] Result<Bytes> open_by_kept_root(FolderStore& store, SysTime now, std::string const& envelope, std::string_view payload_type, std::size_t limit_bytes);

/// The kept root is all that may be asked.
class NoFetcher final : public trust::Fetcher {
public:
  Result<Bytes> fetch(std::string const& name, std::uint64_t) override { return Error{Kind::not_found, "offline", name + " is not asked for"}; }
};

}  // namespace fleet::agent
