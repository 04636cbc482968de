#include "core/inspect/protobuf_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::inspect {
namespace {

constexpr std::uint64_t kFieldsMax = 10'000'000;

}  // namespace

Error not_onnx(std::uint64_t offset, std::string_view why) {
  return {Kind::unprocessable, "not_onnx", fmt::format("no ONNX model: byte {}: {}", offset, why), "export the model again, or give the file another name"};
}

Result<std::uint8_t> FileWindow::byte_at(std::uint64_t offset) {
  if (offset >= size_) return not_onnx(offset, "the file ends in the middle of a field");
  if (offset < start_ || offset >= start_ + have_) {
    start_ = offset;
    FLEET_TRY(have_, file_.read_at(offset, piece_));
    if (have_ == 0) return not_onnx(offset, "the file ends in the middle of a field");
  }
  return piece_[static_cast<std::size_t>(offset - start_)];
}

Result<std::string> FileWindow::bytes_at(std::uint64_t offset, std::uint64_t length) {
  std::string out;
  out.reserve(static_cast<std::size_t>(length));
  for (std::uint64_t i = 0; i < length; ++i) {
    FLEET_TRY(auto const byte, byte_at(offset + i));
    out += static_cast<char>(byte);
  }
  return out;
}

Result<std::string> FileWindow::text_at(std::uint64_t offset, std::uint64_t length) {
  FLEET_TRY(auto out, bytes_at(offset, length));
  // Names go into JSON: nothing that may break its UTF-8.
  std::replace_if(out.begin(), out.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

Result<void> FileWindow::count_field(std::uint64_t offset) {
  if (++fields_ > kFieldsMax) return not_onnx(offset, fmt::format("more than {} fields", kFieldsMax));
  return {};
}

Result<std::uint64_t> MessageReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at_ >= end_) return not_onnx(at_, "a number runs past the end of its message");
    FLEET_TRY(auto const byte, window_->byte_at(at_));
    ++at_;
    if (shift == 63 && byte > 1) return not_onnx(at_ - 1, "a number is longer than 64 bits");
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return not_onnx(at_, "a number is longer than ten bytes");
}

Result<Field> MessageReader::next() {
  auto const start = at_;
  FLEET_CHECK(window_->count_field(start));
  FLEET_TRY(auto const tag, varint());
  Field field;
  if (tag >> 3 == 0 || tag >> 3 > 536'870'911) return not_onnx(start, fmt::format("{} is no field number", tag >> 3));
  field.number = static_cast<std::uint32_t>(tag >> 3);
  std::uint64_t length = 0;
  switch (tag & 7) {
    case 0: {
      field.kind = Field::Kind::varint;
      FLEET_TRY(field.value, varint());
      return field;
    }
    case 1:
      field.kind = Field::Kind::fixed64;
      length = 8;
      break;
    case 5:
      field.kind = Field::Kind::fixed32;
      length = 4;
      break;
    case 2: {
      field.kind = Field::Kind::bytes;
      FLEET_TRY(length, varint());
      break;
    }
    default: return not_onnx(start, fmt::format("wire type {} is not used", tag & 7));
  }
  if (length > end_ - at_) return not_onnx(start, fmt::format("field {} has {} bytes, {} are left", field.number, length, end_ - at_));
  field.begin = at_;
  field.end = at_ + length;
  at_ = field.end;
  return field;
}

}  // namespace fleet::inspect
