#include "core/wire/manifest_files.hpp"

#include "core/base/archive_format.hpp"
#include "core/wire/links.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::wire {
namespace {

/// @param name  of a file, or one that leads to it through links
ReleaseFile const* find_file(Variant const& variant, std::string_view name) {
  auto const real = variant.links.empty() ? std::optional(std::string(name)) : Links(variant).find(name);
  auto const found = std::find_if(variant.files.begin(), variant.files.end(), [&](auto const& file) { return file.name == real; });
  return found == variant.files.end() ? nullptr : &*found;
}

/// What lies in an archive is known to the device alone.
bool is_packed(Release const& release) { return release.manifest.handler == kArchiveHandler; }

/// One variant without an archive would be found there, late.
void check_archives(Release const& release, std::vector<FieldError>& faults) {
  if (!is_packed(release)) return;
  for (std::size_t i = 0; i < release.variants.size(); ++i) {
    auto const& files = release.variants[i].files;
    if (std::none_of(files.begin(), files.end(), [](auto const& file) { return archive_format(file.name).has_value(); }))
      faults.push_back({fmt::format("/variants/{}/files", i), "the handler is archive, and no file ends in .tar, .tar.gz, .tgz, .tar.zst, .tzst or .zip"});
  }
}

/// A manifest's files must be in every variant: a golden test that is missing on one hardware would fail there, late.
void check_golden_files(Release const& release, std::vector<FieldError>& faults) {
  auto const& golden = release.manifest.golden;
  if (!golden || is_packed(release)) return;
  for (auto const& name : {golden->inputs, golden->expect})
    for (std::size_t i = 0; i < release.variants.size() && !name.empty(); ++i)
      if (find_file(release.variants[i], name) == nullptr)
        faults.push_back({fmt::format("/variants/{}/files", i), fmt::format("the golden test needs '{}'", name)});
}

/// A command's first word is a file of the release, then an executable one of every variant, or a program's name, which only the device's owner
/// can say more about.
void check_command(Release const& release, std::vector<std::string> const& command, std::string const& pointer, std::vector<FieldError>& faults) {
  if (command.empty()) return;
  auto const& word = command.front();
  std::size_t files = 0, executable = 0;
  for (auto const& variant : release.variants)
    if (auto const* const file = find_file(variant, word); file != nullptr) {
      ++files;
      executable += file->executable ? 1U : 0U;
    }
  if (files == 0 && (word.find('/') == std::string::npos || is_packed(release))) return;
  if (files == 0) faults.push_back({pointer, fmt::format("'{}' is no file of the release, and no name of a program", word)});
  else if (files < release.variants.size())
    faults.push_back({pointer, fmt::format("'{}' is a file of {} variants of {}", word, files, release.variants.size())});
  else if (executable < files) faults.push_back({pointer, fmt::format("file '{}' is not executable", word)});
}

}  // namespace

void check_manifest_files(Release const& release, std::vector<FieldError>& faults) {
  auto const& manifest = release.manifest;
  check_archives(release, faults);
  check_golden_files(release, faults);
  if (manifest.golden) check_command(release, manifest.golden->command, "/manifest/golden/command/0", faults);
  if (manifest.shadow) check_command(release, manifest.shadow->command, "/manifest/shadow/command/0", faults);
  for (std::size_t i = 0; i < manifest.health.size(); ++i)
    check_command(release, manifest.health[i].exec, fmt::format("/manifest/health/{}/exec/0", i), faults);
  check_command(release, manifest.activate, "/manifest/activate/exec/0", faults);
}

}  // namespace fleet::wire
