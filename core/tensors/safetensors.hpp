#pragma once

#include "core/tensors/tensors.hpp"

namespace fleet::tensors {

/// @errors unprocessable (code `no_layout`) for what is no safetensors file; io
[[nodiscard]] Result<std::vector<Tensor>> read_safetensors(File& file, std::uint64_t size);

}  // namespace fleet::tensors
