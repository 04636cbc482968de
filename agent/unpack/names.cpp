#include "agent/unpack/names.hpp"

#include "core/base/names.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
Error bad_archive(std::string detail) { return {Kind::unprocessable, "bad_archive", std::move(detail), "pack the release anew"}; }

Result<void> check_entry_name(std::string_view name) {
  if (auto const fine = check_file_name(name); !fine) return bad_archive(fine.error().detail);
  auto const depth = static_cast<std::size_t>(std::count(name.begin(), name.end(), '/'));
  if (depth > kEntryDepthMax) return bad_archive(fmt::format("'{}' lies {} folders deep, at most {} are taken", name, depth, kEntryDepthMax));
  return {};
}

}  // namespace fleet::agent
