#pragma once

#include "core/base/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace fleet::telemetry {

inline constexpr std::size_t kBucketsOfSketch = 512;  ///< a spread of 28,000; of a wider one the lowest are counted together

/// `{"12":3}`, as the column `sketch` holds it.
[[nodiscard]] std::string encode_buckets(std::map<int, std::int64_t> const& buckets);
/// @errors corrupt
[[nodiscard]] Result<std::map<int, std::int64_t>> decode_buckets(std::string_view json);

}  // namespace fleet::telemetry
