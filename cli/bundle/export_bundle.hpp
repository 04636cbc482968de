#pragma once

#include "cli/client/session.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace fleet::cli {

/// What is in a bundle that was ordered: the server's answer.
struct OrderedBundle {
  std::string id, model, version, created_at, expires_at;
  std::set<std::string> hardware;  ///< of the devices that it has an order for
  std::int64_t devices = 0;
};

struct ExportedBundle {
  std::uint64_t bytes = 0;
  std::size_t objects = 0;
};
/// Writes the file: metadata, which is verified on its way from the server's first root, each device's directive, and the objects of their hardware. Nothing is
/// there under `path` before it is whole. @errors as trust::Updater, signature (`digest_mismatch`), io, and the API's
[[nodiscard]] Result<ExportedBundle> export_bundle(Session& session, Api& api, OrderedBundle const& ordered, std::string const& path);

}  // namespace fleet::cli
