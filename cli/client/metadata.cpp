#include "cli/client/metadata.hpp"

#include <fmt/format.h>

namespace fleet::cli {

Result<Bytes> FetchedMetadata::fetch(std::string const& name, std::uint64_t limit_bytes) {
  FLEET_TRY(auto const answer, api_.send(net::Method::get, folder_ + name));
  if (answer.body.size() > limit_bytes) return Error{Kind::too_large, "body_too_large", fmt::format("{}: over {} bytes", name, limit_bytes)};
  return files_[name] = Bytes(answer.body.begin(), answer.body.end());
}

Result<std::optional<Bytes>> MemoryStore::load(std::string const& role) {
  auto const found = files_.find(role);
  return found == files_.end() ? std::nullopt : std::optional(found->second);
}

Result<void> MemoryStore::save(std::string const& role, BytesView bytes) {
  files_[role] = Bytes(bytes.begin(), bytes.end());
  return {};
}

Result<void> MemoryStore::remove(std::string const& role) {
  files_.erase(role);
  return {};
}

}  // namespace fleet::cli
