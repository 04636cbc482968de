#pragma once

#include "core/base/fs.hpp"
#include "core/inspect/onnx.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::inspect {

/// A file of a variant, and where its bytes lie on this machine.
struct VariantFile {
  std::string name, path;
  std::uint64_t size = 0;
};

/// The name in the release of what the file `name` speaks of as `location`, relative to its own folder.
[[nodiscard]] std::string name_beside(std::string const& name, std::string_view location);

/// Looks into the files of a release's variants for what no runtime could load: stand-ins in place of files (Git LFS), models that are none, and references
/// to files that are not there, too short, or outside the variant. The publisher's fleetctl asks before it sends, the server before it publishes.
class Inspector {
  /// The file of a name; nullptr: none.
  using Files = std::function<VariantFile const*(std::string const& name)>;

public:
  explicit Inspector(Fs& fs) : fs_(&fs) {}
  /// @errors unprocessable (codes `stand_in`, `not_onnx`, `missing_file`) that names the file and what to do; io
  /// @param real_name  of a name that may lead through links: the file's own
  Result<void> check(std::vector<VariantFile> const& files, std::function<std::string(std::string const&)> const& real_name = {});
  /// What the ONNX files say of themselves, by where they lie.
  [[nodiscard]] std::map<std::string, OnnxModel> const& models() const { return models_; }

private:
  Result<void> check_onnx(VariantFile const& file, Files const& files);

  Fs* fs_;
  std::map<std::string, OnnxModel> models_;
};

}  // namespace fleet::inspect
