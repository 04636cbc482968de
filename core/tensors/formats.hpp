#pragma once

#include "core/tensors/reading.hpp"
#include "core/tensors/tensors.hpp"

/// One reader a format. Each gives tensors that lie within the file, in no order; `unprocessable` (code `no_layout`) for what is not of its format, io.
/// For this folder's .cpp files.
namespace fleet::tensors {

/// Eight bytes of length, a JSON object {name: {dtype, shape, data_offsets: [begin, end]}}, the data (huggingface/safetensors, README, "Format").
[[nodiscard]] Result<std::vector<Tensor>> read_safetensors(Reading& in);
/// Versions 2 and 3 (ggml-org/ggml, docs/gguf.md).
[[nodiscard]] Result<std::vector<Tensor>> read_gguf(Reading& in);
/// One array (numpy.lib.format). @param begin, end  where the .npy lies: it may be part of an archive
[[nodiscard]] Result<Tensor> read_npy(Reading& in, std::uint64_t begin, std::uint64_t end);
/// A ZIP archive (PKWARE APPNOTE 6.3.10): its arrays that are stored, not compressed.
[[nodiscard]] Result<std::vector<Tensor>> read_npz(Reading& in);
/// A FlatBuffers file "TFL3" (tensorflow/lite/schema/schema.fbs).
[[nodiscard]] Result<std::vector<Tensor>> read_tflite(Reading& in);

}  // namespace fleet::tensors
