#include "core/net/chunked_body.hpp"

#include "core/net/ascii.hpp"
#include "core/net/gate.hpp"

#include <algorithm>

namespace fleet::net {
namespace {

constexpr std::size_t kLineMax = 1024;
constexpr std::size_t kSizeDigitsMax = 15;  // fits 60 bits

Error refused(std::string_view why) {
  return {Kind::bad_input, "bad_chunk", "the chunked body is not framed as RFC 9112 has it: " + std::string{why},
          "send its length, or chunks as RFC 9112, 7.1 has them"};
}

}  // namespace

Result<void> ChunkedBody::read_size(std::string_view line) {
  std::size_t digits = 0;
  std::uint64_t size = 0;
  for (; digits < line.size() && hex_value(line[digits]) >= 0; ++digits)
    if (digits < kSizeDigitsMax) size = size * 16 + static_cast<std::uint64_t>(hex_value(line[digits]));
  if (digits == 0 || digits > kSizeDigitsMax) return refused("a chunk's size is no hexadecimal number");
  auto extension = line.substr(digits);
  while (!extension.empty() && (extension.front() == ' ' || extension.front() == '\t')) extension.remove_prefix(1);
  if (extension.empty() ? digits != line.size() : extension.front() != ';') return refused("something else behind a chunk's size");
  if (!is_header_value(extension)) return refused("a control character in a chunk's extension");
  left_ = size;
  state_ = size == 0 ? State::trailer : State::content;
  return {};
}

Result<void> ChunkedBody::read_trailer(std::string_view line) {
  if (line.empty()) {
    state_ = State::done;
    return {};
  }
  auto const colon = std::min(line.find(':'), line.size());
  bool const good = colon < line.size() && is_header_name(line.substr(0, colon)) && is_header_value(line.substr(colon + 1));
  return good && ++trailers_ <= kHeaderLinesMax ? Result<void>{} : refused("a trailer is no header line, or one too many");
}

Result<std::size_t> ChunkedBody::feed(std::string_view bytes, Take const& take) {
  std::size_t used = 0;
  while (used < bytes.size() && !is_done()) {
    auto const rest = bytes.substr(used);
    if (state_ == State::content) {
      auto const piece = rest.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size())));
      FLEET_CHECK(take(piece));
      used += piece.size();
      left_ -= piece.size();
      if (left_ == 0) state_ = State::content_end;
      continue;
    }
    auto const feed = rest.find('\n');
    if (std::min(feed, rest.size()) > kLineMax) return refused("a line is too long");
    if (feed == std::string_view::npos) break;
    if (feed == 0 || rest[feed - 1] != '\r') return refused("a line does not end in CR LF");
    auto const line = rest.substr(0, feed - 1);
    if (state_ == State::size) {
      FLEET_CHECK(read_size(line));
    } else if (state_ == State::trailer) {
      FLEET_CHECK(read_trailer(line));
    } else {
      if (!line.empty()) return refused("a chunk is longer than its size");
      state_ = State::size;
    }
    used += feed + 1;
  }
  return used;
}

}  // namespace fleet::net
