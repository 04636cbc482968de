#pragma once

#include "core/base/fs.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <string>

namespace fleet::inspect {

/// A window of a file, read in small pieces: skipping a gigabyte of weights costs nothing.
class FileWindow {
public:
  FileWindow(File& file, std::uint64_t size) : file_(file), size_(size) {}
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// One byte. @errors unprocessable past the end
  Result<std::uint8_t> byte_at(std::uint64_t offset);
  /// Bytes as they are.
  Result<std::string> bytes_at(std::uint64_t offset, std::uint64_t length);
  /// A text for people: what is not printable ASCII is a question mark.
  Result<std::string> text_at(std::uint64_t offset, std::uint64_t length);
  /// Counts one field. A file of billions of tiny ones must not hold a thread. @errors unprocessable
  Result<void> count_field(std::uint64_t offset);

private:
  File& file_;
  std::uint64_t size_;
  std::uint64_t start_ = 0;
  std::size_t have_ = 0;
  std::uint64_t fields_ = 0;
  std::array<std::uint8_t, 4096> piece_{};
};

/// One field of a message of the protobuf wire format (protobuf.dev, "Encoding").
struct Field {
  std::uint32_t number = 0;
  enum class Kind { varint, fixed64, bytes, fixed32 } kind = Kind::varint;
  std::uint64_t value = 0;           ///< varint
  std::uint64_t begin = 0, end = 0;  ///< bytes: where they lie
};

/// Walks the fields of the message that lies in [begin, end) of a file.
class MessageReader {
public:
  MessageReader(FileWindow& window, std::uint64_t begin, std::uint64_t end) : window_(&window), at_(begin), end_(end) {}
  [[nodiscard]] bool done() const { return at_ == end_; }
  /// @errors unprocessable (code `not_onnx`): a length past the end, a varint over ten bytes, field 0, groups
  Result<Field> next();

private:
  Result<std::uint64_t> varint();
  FileWindow* window_;
  std::uint64_t at_;
  std::uint64_t end_;
};

[[nodiscard]] Error not_onnx(std::uint64_t offset, std::string_view why);

/// Calls `each(field)` for every field of the message that `whole` holds.
template <class Each>
Result<void> walk(FileWindow& window, std::uint64_t begin, std::uint64_t end, Each const& each) {
  MessageReader reader(window, begin, end);
  while (!reader.done()) {
    FLEET_TRY(auto const field, reader.next());
    auto const taken = each(field);
    if (!taken) return taken;
  }
  return {};
}

template <class Each>
Result<void> walk(FileWindow& window, Field const& whole, Each const& each) {
  if (whole.kind != Field::Kind::bytes) return not_onnx(whole.begin, fmt::format("field {} is no message", whole.number));
  return walk(window, whole.begin, whole.end, each);
}

}  // namespace fleet::inspect
