#pragma once

#include "cli/publish/file_tree.hpp"
#include "cli/client/session.hpp"

#include <cstdint>

namespace fleet::cli {

/// Uploads of blobs: known ones are skipped, broken ones go on where the server has them.
class Uploader {
public:
  static constexpr std::uint64_t kPieceBytes = 4 * 1024 * 1024;
  Uploader(Session& session, Api& api) : session_(&session), api_(&api) {}

  /// Brings the file's bytes to the server. @errors unprocessable (`digest_mismatch`: the file changed meanwhile), and the API's
  Result<void> upload(LocalFile const& file);
  [[nodiscard]] std::uint64_t sent_bytes() const { return sent_bytes_; }
  [[nodiscard]] int skipped() const { return skipped_; }

private:
  Result<void> send_pieces(LocalFile const& file, std::string const& target, std::uint64_t offset);
  Result<std::uint64_t> offset_at_server(std::string const& target);
  void show(LocalFile const& file, std::uint64_t offset);

  Session* session_;
  Api* api_;
  std::uint64_t sent_bytes_ = 0;
  int skipped_ = 0;
};

}  // namespace fleet::cli
