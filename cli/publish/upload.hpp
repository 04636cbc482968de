#pragma once

#include "cli/client/session.hpp"
#include "cli/publish/file_tree.hpp"

#include <cstdint>

namespace fleet::cli {

/// Uploads of blobs: known ones are skipped, broken ones go on where the server has them. Pieces become smaller where a proxy takes no large bodies or
/// ends long requests, and stay so.
class Uploader {
public:
  static constexpr std::uint64_t kPieceBytes = 4 * 1024 * 1024;
  static constexpr std::uint64_t kPieceBytesMin = 256 * 1024;
  Uploader(Session& session, Api& api) : session_(&session), api_(&api) {}

  /// Brings all to the server: many small ones a few hundred at a time, the others one by one.
  Result<void> upload_all(std::vector<LocalFile> const& files);
  /// Brings the file's bytes to the server, alone or together with other jobs that send the same file.
  /// @errors unprocessable (`digest_mismatch`, `file_changed`: the file changed meanwhile), and the API's
  Result<void> upload(LocalFile const& file);
  [[nodiscard]] std::uint64_t sent_bytes() const { return sent_bytes_; }
  [[nodiscard]] int skipped() const { return skipped_; }

private:
  Result<std::vector<LocalFile>> find_missing(std::vector<LocalFile> const& files);
  Result<void> send_batches(std::vector<LocalFile> const& files);
  Result<void> try_upload(LocalFile const& file);
  Result<void> send_pieces(LocalFile const& file, std::string const& target, std::uint64_t offset);
  Result<void> after_failure(Error const& error, std::string const& target, std::uint64_t& offset);
  Result<std::uint64_t> offset_at_server(std::string const& target);
  void show(LocalFile const& file, std::uint64_t offset);

  Session* session_;
  Api* api_;
  std::uint64_t piece_bytes_ = kPieceBytes;
  std::uint64_t sent_bytes_ = 0;
  int skipped_ = 0;
};

}  // namespace fleet::cli
