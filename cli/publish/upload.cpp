#include "cli/publish/upload.hpp"

#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <algorithm>
#include <charconv>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr int kTries = 6;
constexpr Millis kPauseMax{8'000};
/// What a slow disk reads, and the server hashes, in a millisecond.
constexpr std::uint64_t kHashedBytesPerMs = 4 * 1024;

bool worth_another_try(Error const& error) {
  return error.kind == Kind::unavailable || error.kind == Kind::timeout || error.kind == Kind::throttled || error.code == "wrong_offset";
}

Result<std::string> read_piece(File& file, std::string const& path, std::uint64_t offset, std::uint64_t size) {
  std::string piece(static_cast<std::size_t>(size), '\0');
  std::size_t have = 0;
  while (have < piece.size()) {
    FLEET_TRY(auto const got, file.read_at(offset + have, {reinterpret_cast<std::uint8_t*>(piece.data()) + have, piece.size() - have}));
    if (got == 0)
      return Error{Kind::unprocessable, "file_changed", fmt::format("{}: ends at {} bytes, was longer when it was hashed", path, offset + have),
                   "publish again"};
    have += got;
  }
  return piece;
}

}  // namespace

void Uploader::show(LocalFile const& file, std::uint64_t offset) {
  if (!session_->shows_progress()) return;
  auto const thousandths = file.size == 0 ? 1000 : static_cast<std::int64_t>(static_cast<double>(offset) / static_cast<double>(file.size) * 1000);
  auto const text = fmt::format("{}  {} of {}  {}", render::bar(thousandths, 0, 1000, 20), render::size_text(offset), render::size_text(file.size),
                                render::safe_text(file.name));
  auto const width = session_->around().console.window().width;
  session_->around().console.err("\r\x1b[K" + render::clip(text, width > 1 ? width - 1 : 1) + (offset == file.size ? "\r\x1b[K" : ""));
}

Result<std::uint64_t> Uploader::offset_at_server(std::string const& target) {
  FLEET_TRY(auto const answer, api_->send(net::Method::head, target));
  auto const text = answer.header("Upload-Offset");
  std::uint64_t offset = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (fault != std::errc{} || end != text.data() + text.size())
    return Error{Kind::internal, "bad_answer", fmt::format("HEAD {}: expected a count of bytes in Upload-Offset, got `{}`", target, text)};
  return offset;
}

Result<void> Uploader::send_pieces(LocalFile const& file, std::string const& target, std::uint64_t offset) {
  FLEET_TRY(auto const opened, session_->around().fs.open(file.path, Fs::Mode::read));
  int tries = 0;
  while (offset < file.size) {
    show(file, offset);
    auto const size = std::min(kPieceBytes, file.size - offset);
    FLEET_TRY(auto piece, read_piece(*opened, file.path, offset, size));
    auto const sent =
        api_->send(net::Method::patch, target, std::move(piece), {{"Content-Type", "application/octet-stream"}, {"Upload-Offset", std::to_string(offset)}});
    if (sent) {
      offset += size;
      sent_bytes_ += size;
      tries = 0;
      continue;
    }
    // The piece may have arrived although its answer did not: the server's offset says.
    if (!worth_another_try(sent.error()) || ++tries == kTries) return sent.error();
    session_->around().console.pause(std::min(kPauseMax, Millis{250 << tries}));
    auto const at = offset_at_server(target);
    if (at) offset = *at;
    else if (!worth_another_try(at.error())) return at.error();
    if (offset > file.size) return Error{Kind::conflict, "wrong_offset", fmt::format("{}: the server has {} bytes of {}", file.path, offset, file.size)};
  }
  show(file, offset);
  return {};
}

Result<void> Uploader::upload(LocalFile const& file) {
  json::object const body{{"sha256", file.sha256.hex()}, {"size", file.size}};
  FLEET_TRY(auto const answer, api_->post(Route("/uploads"), body));
  FLEET_TRY(auto const upload, answer.json());
  if (render::text_at(upload, "state") == "done") {
    ++skipped_;
    return {};
  }
  auto const target = Route("/uploads/{}", {render::text_at(upload, "id")}).target();
  auto const offset = static_cast<std::uint64_t>(render::number_at(upload, "offset"));
  FLEET_CHECK(send_pieces(file, target, offset));
  // The server reads the whole blob again before it answers.
  Millis const hashing{static_cast<std::int64_t>(file.size / kHashedBytesPerMs)};
  auto finished = api_->send(net::Method::put, target, {}, {}, hashing);
  if (!finished) {
    auto error = finished.error();
    error.detail = file.path + ": " + error.detail;
    return error;
  }
  session_->say(fmt::format("uploaded {} ({}{})", file.path, render::size_text(file.size), offset > 0 ? ", resumed at " + render::size_text(offset) : ""));
  return {};
}

}  // namespace fleet::cli
