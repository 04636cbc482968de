#include "core/tensors/safetensors.hpp"

#include <algorithm>

namespace fleet::tensors {
namespace {

/// In the order of their offsets, none over another, none without bytes.
std::vector<Tensor> in_order(std::vector<Tensor> found) {
  std::erase_if(found, [](Tensor const& tensor) { return tensor.length == 0; });
  std::stable_sort(found.begin(), found.end(), [](Tensor const& a, Tensor const& b) { return a.offset < b.offset; });
  std::vector<Tensor> out;
  for (auto& tensor : found)
    if (out.empty() || tensor.offset >= out.back().offset + out.back().length) out.push_back(std::move(tensor));
  return out;
}

}  // namespace

Result<std::map<std::string, std::vector<Tensor>>> tensors_of(Fs& fs, std::vector<inspect::VariantFile> const& files) {
  std::map<std::string, std::vector<Tensor>> out;
  for (auto const& file : files) {
    FLEET_TRY(auto const opened, fs.open(file.path, Fs::Mode::read));
    FLEET_TRY(auto const size, opened->size());
    auto found = read_safetensors(*opened, size);
    if (found) out[file.name] = in_order(std::move(*found));
    else if (found.error().kind == Kind::io) return found.error();
  }
  return out;
}

}  // namespace fleet::tensors
