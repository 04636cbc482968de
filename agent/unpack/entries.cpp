#include "agent/unpack/entries.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr std::size_t kHeadBytes = 5, kLinkHeadBytes = 2;

std::size_t number(BytesView bytes) {
  std::size_t out = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) out = out << 8U | bytes[i];
  return out;
}

std::string little_endian(std::size_t number, std::size_t bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(number >> (8U * i) & 0xFFU);
  return out;
}

Error bad(std::string detail) { return {Kind::bad_input, "bad_entries", "what was read from the archive: " + std::move(detail)}; }

}  // namespace

std::string record_of(char kind, std::string_view payload) {
  std::string out(1, kind);
  out += little_endian(payload.size(), 4);
  return out.append(payload);
}

Result<void> EntryDecoder::feed(BytesView piece) {
  while (!piece.empty()) {
    if (ended_) return bad("something follows its end");
    if (begun_.size() < kHeadBytes) {
      auto const more = std::min(kHeadBytes - begun_.size(), piece.size());
      begun_.append(as_text(piece.first(more)));
      piece = piece.subspan(more);
      if (begun_.size() < kHeadBytes) return {};
    }
    auto const size = number(as_bytes(begun_).subspan(1, kHeadBytes - 1));
    if (size > kPieceBytesMax) return bad(fmt::format("a record of {} bytes, at most {} are taken", size, kPieceBytesMax));
    auto const more = std::min(kHeadBytes + size - begun_.size(), piece.size());
    begun_.append(as_text(piece.first(more)));
    piece = piece.subspan(more);
    if (begun_.size() < kHeadBytes + size) return {};
    FLEET_CHECK(take(begun_.front(), as_bytes(begun_).subspan(kHeadBytes)));
    begun_.clear();
  }
  return {};
}

Result<void> EntryDecoder::take(char kind, BytesView payload) {
  auto const text = as_text(payload);
  if (kind == 'B') return in_file_ ? sink_.data(payload) : bad("bytes of no file");
  in_file_ = kind == 'F' || kind == 'X';
  if (in_file_) return sink_.file(text, kind == 'X');
  if (kind == 'D') return sink_.folder(text);
  if (kind == 'L') {
    auto const name = payload.size() < kLinkHeadBytes ? payload.size() : number(payload.first(kLinkHeadBytes));
    if (kLinkHeadBytes + name > payload.size()) return bad("a link that is cut short");
    return sink_.link(text.substr(kLinkHeadBytes, name), text.substr(kLinkHeadBytes + name));
  }
  if (kind != 'E' || !payload.empty()) return bad(fmt::format("a record of kind {}", static_cast<unsigned char>(kind)));
  ended_ = true;
  return sink_.end();
}

Result<void> EntryEncoder::data(BytesView piece) {
  while (!piece.empty()) {
    auto const part = piece.first(std::min(kPieceBytesMax, piece.size()));
    FLEET_CHECK(write_(to_, record_of('B', as_text(part))));
    piece = piece.subspan(part.size());
  }
  return {};
}

Result<void> EntryEncoder::link(std::string_view name, std::string_view target) {
  return write_(to_, record_of('L', little_endian(name.size(), kLinkHeadBytes).append(name).append(target)));
}

}  // namespace fleet::agent
