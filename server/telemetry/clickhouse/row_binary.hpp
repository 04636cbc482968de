#pragma once

#include "core/base/bytes.hpp"
#include "core/base/result.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

/// ClickHouse's format RowBinary: values one after the other, numbers in little endian, before texts and arrays their length as a varint (LEB128).
namespace fleet::clickhouse {

inline constexpr std::size_t kTextBytesMax = 256 * 1024;
inline constexpr std::size_t kBucketsMax = 16 * 1024;  ///< more than a sketch has keys

using Buckets = std::map<int, std::int64_t>;

/// A row of fleet_intervals, as it is written.
struct Row {
  std::string metric, model, version, hardware, labels;
  std::uint32_t start_s = 0;  ///< Unix time
  std::uint64_t flush = 0;
  std::uint64_t samples = 0;
  double total = 0, least = 0, most = 0;
  Buckets buckets = {};
  bool operator==(Row const&) const = default;
};
void append(std::string& out, Row const& row);

/// What a step of a series adds up to, as it is read.
struct Step {
  std::string model, version, hardware, labels;
  std::uint64_t start_s = 0;
  std::uint64_t samples = 0;
  double total = 0, least = 0, most = 0;
  Buckets buckets = {};
};

/// Rows of an answer that comes in pieces.
class Reader {
public:
  void feed(BytesView piece);
  /// Nothing: the next one is not whole yet. @errors corrupt (code `bad_answer`: longer than any row)
  [[nodiscard]] Result<std::optional<Step>> step();
  [[nodiscard]] Result<std::optional<Row>> row();
  /// @errors corrupt: the answer ended within a row
  [[nodiscard]] Result<void> end() const;

private:
  template <class T, class F>
  Result<std::optional<T>> whole(F&& read);
  std::string bytes_;
  std::size_t at_ = 0;
};

}  // namespace fleet::clickhouse
