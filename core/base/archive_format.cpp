#include "core/base/archive_format.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace fleet {
namespace {

constexpr auto kEnds = std::to_array<std::pair<std::string_view, ArchiveFormat>>({{".tar", ArchiveFormat::tar},
                                                                                  {".tar.gz", ArchiveFormat::tar_gz},
                                                                                  {".tgz", ArchiveFormat::tar_gz},
                                                                                  {".tar.zst", ArchiveFormat::tar_zst},
                                                                                  {".tzst", ArchiveFormat::tar_zst},
                                                                                  {".zip", ArchiveFormat::zip}});
constexpr std::array<std::string_view, 4> kWords{"tar", "tar.gz", "tar.zst", "zip"};

}  // namespace

std::optional<ArchiveFormat> archive_format(std::string_view file_name) {
  auto const found = std::find_if(kEnds.begin(), kEnds.end(), [&](auto const& one) { return file_name.ends_with(one.first); });
  return found == kEnds.end() ? std::nullopt : std::optional(found->second);
}

std::string_view to_string(ArchiveFormat format) { return kWords[static_cast<std::size_t>(format)]; }

std::optional<ArchiveFormat> archive_format_of(std::string_view word) {
  auto const found = std::find(kWords.begin(), kWords.end(), word);
  return found == kWords.end() ? std::nullopt : std::optional(static_cast<ArchiveFormat>(found - kWords.begin()));
}

}  // namespace fleet
