#include "cli/publish/upload.hpp"

#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr int kTriesWithoutProgress = 8;
constexpr int kBegins = 2;
constexpr Millis kPauseMax{8'000};
constexpr std::uint64_t kSmallBytes = 64 * 1024;
constexpr std::size_t kFewFiles = 8;  ///< which need no other way
constexpr std::size_t kAskedAtOnce = 5'000;
constexpr std::size_t kBatchFiles = 256;  ///< as many as the server takes
/// What a slow disk reads, and the server hashes, in a millisecond.
constexpr std::uint64_t kHashedBytesPerMs = 4 * 1024;
/// Another job that sends the same file ended the upload that both write to, or spoiled it: a new one is begun.
constexpr auto kBeginAgain = std::to_array<std::string_view>({"unknown_upload", "upload_lost", "digest_mismatch"});

bool passes(Error const& error) { return error.kind == Kind::unavailable || error.kind == Kind::timeout || error.code == "wrong_offset"; }

/// A body that a proxy before the server does not take: the server itself takes pieces of kPieceBytes.
bool body_refused(Error const& error) { return error.kind == Kind::too_large && error.code != "too_long"; }

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

/// Learns from a piece that failed. The piece may have arrived although its answer did not: the server's offset says.
Result<void> Uploader::after_failure(Error const& error, std::string const& target, std::uint64_t& offset) {
  if (body_refused(error)) {
    if (piece_bytes_ > kPieceBytesMin) {
      piece_bytes_ /= 2;
      return {};
    }
    auto told = error;
    told.hint = fmt::format("a proxy before the server refuses bodies of {}: raise its limit (nginx: client_max_body_size 5m)", render::size_text(piece_bytes_));
    return told;
  }
  if (!passes(error)) return error;
  // What ends long requests lets shorter ones through.
  if (error.code != "wrong_offset") piece_bytes_ = std::max(kPieceBytesMin, piece_bytes_ / 2);
  FLEET_TRY(offset, offset_at_server(target));
  return {};
}

Result<void> Uploader::send_pieces(LocalFile const& file, std::string const& target, std::uint64_t offset) {
  FLEET_TRY(auto const opened, session_->around().fs.open(file.path, Fs::Mode::read));
  int tries = 0;
  while (offset < file.size) {
    show(file, offset);
    auto const size = std::min(piece_bytes_, file.size - offset);
    FLEET_TRY(auto piece, read_piece(*opened, file.path, offset, size));
    auto const sent =
        api_->send(net::Method::patch, target, std::move(piece), {{"Content-Type", "application/octet-stream"}, {"Upload-Offset", std::to_string(offset)}});
    if (sent) {
      offset += size;
      sent_bytes_ += size;
      tries = 0;
      continue;
    }
    auto const before = offset;
    if (passes(sent.error()) && ++tries == kTriesWithoutProgress) return sent.error();
    if (passes(sent.error())) session_->around().console.pause(std::min(kPauseMax, Millis{125 << tries}));
    FLEET_CHECK(after_failure(sent.error(), target, offset));
    if (offset > before) tries = 0;
    if (offset > file.size) return Error{Kind::conflict, "wrong_offset", fmt::format("{}: the server has {} bytes of {}", file.path, offset, file.size)};
  }
  show(file, offset);
  return {};
}

Result<void> Uploader::try_upload(LocalFile const& file) {
  auto const body = json::serialize(json::object{{"sha256", file.sha256.hex()}, {"size", file.size}});
  // The same upload is given to whoever asks twice.
  FLEET_TRY(auto const answer, api_->send(net::Method::post, Route("/uploads").target(), body, {{"Content-Type", "application/json"}}, {.harmless = true}));
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
  FLEET_CHECK(api_->send(net::Method::put, target, {}, {}, {.work = hashing, .harmless = true}));
  session_->say(fmt::format("uploaded {} ({}{})", file.path, render::size_text(file.size), offset > 0 ? ", resumed at " + render::size_text(offset) : ""));
  return {};
}

/// Those whose bytes the server does not have.
Result<std::vector<LocalFile>> Uploader::find_missing(std::vector<LocalFile> const& files) {
  std::vector<LocalFile> out;
  for (std::size_t from = 0; from < files.size(); from += kAskedAtOnce) {
    auto const until = std::min(files.size(), from + kAskedAtOnce);
    json::array list;
    for (auto i = from; i < until; ++i) list.push_back({{"sha256", files[i].sha256.hex()}, {"size", files[i].size}});
    auto const body = json::serialize(json::object{{"files", std::move(list)}});
    FLEET_TRY(auto const answer, api_->send(net::Method::post, Route("/uploads:missing").target(), body, {{"Content-Type", "application/json"}}, {.harmless = true}));
    FLEET_TRY(auto const told, answer.json());
    std::set<std::string> missing;
    if (auto const* const digests = render::member(told, "missing").if_array())
      for (auto const& digest : *digests) missing.insert(render::text_of(digest));
    for (auto i = from; i < until; ++i)
      if (missing.contains(files[i].sha256.hex())) out.push_back(files[i]);
  }
  return out;
}

/// One line that lists the files, then their bytes (docs/api.md, uploads:batch).
Result<void> Uploader::send_batches(std::vector<LocalFile> const& files) {
  constexpr std::uint64_t kListedBytes = 128;  // what one file takes of the line, at most
  auto& fs = session_->around().fs;
  for (std::size_t from = 0; from < files.size();) {
    json::array list;
    std::string bytes;
    auto next = from;
    for (; next < files.size() && next - from < kBatchFiles; ++next) {
      auto const& file = files[next];
      if (next > from && bytes.size() + file.size + (next - from + 1) * kListedBytes > piece_bytes_) break;
      FLEET_TRY(auto const content, fs.read(file.path, kSmallBytes));
      list.push_back({{"sha256", file.sha256.hex()}, {"size", content.size()}});
      bytes += content;
    }
    auto const body = json::serialize(json::object{{"files", std::move(list)}}) + "\n" + bytes;
    auto const sent =
        api_->send(net::Method::post, Route("/uploads:batch").target(), body, {{"Content-Type", "application/octet-stream"}}, {.harmless = true});
    if (!sent && body_refused(sent.error()) && piece_bytes_ > kPieceBytesMin) {
      piece_bytes_ /= 2;
      continue;
    }
    if (!sent) return sent.error();
    sent_bytes_ += bytes.size();
    session_->say(fmt::format("uploaded {} small files ({})", next - from, render::size_text(bytes.size())));
    from = next;
  }
  return {};
}

Result<void> Uploader::upload_all(std::vector<LocalFile> const& files) {
  std::vector<LocalFile> small, others;
  for (auto const& file : files) (file.size <= kSmallBytes ? small : others).push_back(file);
  if (small.size() > kFewFiles) {
    FLEET_TRY(auto const missing, find_missing(small));
    skipped_ += static_cast<int>(small.size() - missing.size());
    FLEET_CHECK(send_batches(missing));
  } else {
    others.insert(others.end(), small.begin(), small.end());
  }
  for (auto const& file : others) FLEET_CHECK(upload(file));
  return {};
}

Result<void> Uploader::upload(LocalFile const& file) {
  for (int begins = 1;; ++begins) {
    auto const done = try_upload(file);
    if (done) return {};
    bool const again = std::find(kBeginAgain.begin(), kBeginAgain.end(), done.error().code) != kBeginAgain.end();
    if (again && begins < kBegins) continue;
    auto error = done.error();
    error.detail = file.path + ": " + error.detail;
    return error;
  }
}

}  // namespace fleet::cli
