#include "core/inspect/expected.hpp"

#include "core/proof/compare.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::inspect {

Result<void> check_expected(Fs& fs, std::vector<VariantFile> const& files, wire::Manifest const& manifest, std::function<std::string(std::string const&)> const& real_name) {
  if (!manifest.golden) return {};
  auto const name = real_name(manifest.golden->expect);
  auto const found = std::find_if(files.begin(), files.end(), [&](VariantFile const& file) { return file.name == name; });
  if (found == files.end()) return {};  // that it is there is the manifest's own check
  if (found->size > proof::kOutputBytesMax)
    return Error{Kind::unprocessable, "expected_too_large",
                 fmt::format("file '{}', the expected output of the golden test, has {} bytes: at most {} are compared", name, found->size, proof::kOutputBytesMax),
                 "take fewer inputs: a golden test shows that the model computes the same here, not how good it is"};
  if (manifest.golden->tolerances.empty()) return {};
  FLEET_TRY(auto const text, fs.read(found->path, proof::kOutputBytesMax));
  auto const checked = proof::check_columns(text, {manifest.golden->tolerance, manifest.golden->tolerances});
  if (checked) return {};
  auto error = checked.error();
  error.detail = fmt::format("file '{}', the expected output of the golden test: {}", name, error.detail);
  return error;
}

}  // namespace fleet::inspect
