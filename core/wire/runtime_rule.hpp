#pragma once

#include "core/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::wire {

/// One comparison of `match.runtime`: what a release asks of a runtime that the device reports.
struct RuntimeRule {
  enum class Op { any, equal, compatible, at_least, at_most, above, below };
  std::string runtime;
  Op op = Op::any;
  std::vector<std::int64_t> version;  ///< the numbers between the dots; none for `any`
  bool series = false;                ///< `==8.6.*`: whatever begins with these numbers
  std::string text;                   ///< as it was written, without blanks
};

/// Reads `onnxruntime >= 1.16`, `tensorrt>=8.6,<8.7`, `cuda~=12.1`, `tensorrt==8.6.*`, or a name alone for any version; each must hold. A comparison without
/// a name is of the runtime before it. `~=8.6` is at least 8.6 and of the series 8 (PEP 440, "Compatible release").
/// @errors bad_input with what is not understood, and how to write it
[[nodiscard]] Result<std::vector<RuntimeRule>> parse_runtime_rules(std::string_view text);

/// Whether a version, as a device reports it, holds. It is compared number by number, a missing one is 0; a `v` before the numbers and whatever follows them
/// (`rc1`, `+cu118`, `-1`) count for nothing. What has no number holds for `any` alone.
[[nodiscard]] bool holds(RuntimeRule const& rule, std::string_view reported);

}  // namespace fleet::wire
