#pragma once

#include "server/blobs/uploads.hpp"
#include "tests/crash/server/shared_disk.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fleet::crash {

class Server;

/// What somebody was told is done, and must be so from then on.
struct Fact {
  std::string name;
  std::function<std::string(Server&)> broken;  ///< what is wrong; empty: it holds. None: from here on what was told before may be over
};

/// The server's store and files over a model of a disk, as its worker threads use them. One for a disk at a time; in a thread of its own, which takes its connections along.
class Server {
public:
  /// @param facts  where what was acknowledged is noted @throws std::runtime_error  it does not open
  Server(SharedDisk& disk, std::vector<Fact>& facts);

  /// A client's whole upload, on from where an earlier one stopped.
  void upload(std::string const& content, std::string const& actor);
  void batch(std::vector<std::string> const& contents, std::string const& actor);
  /// So many entries of the audit log at once, in all lanes: they are committed in groups.
  void log_all(int count);
  /// What the clock asks for, until there is nothing more.
  void collect();
  void pass(std::chrono::hours time) { now_ += time; }

  /// What must hold at any start.
  [[nodiscard]] std::vector<std::string> check();
  /// What was told, and does not hold.
  [[nodiscard]] std::vector<std::string> check_told(std::vector<Fact> const& told);
  /// And once everything is done, and what nobody needs is past its time.
  [[nodiscard]] std::vector<std::string> check_end();

  [[nodiscard]] bool holds_blob(std::string const& content);
  [[nodiscard]] std::uint64_t received(std::string const& content, std::string const& actor);
  [[nodiscard]] bool has_entry(std::string const& request);
  void fault(std::string text);
  [[nodiscard]] std::vector<std::string> const& faults() const { return faults_; }

private:
  void acknowledge(Fact fact);
  [[nodiscard]] blobs::UploadContext context() { return {*store_, *fs_, random_, *blobs_}; }
  void check_rows(std::vector<std::string>& out);

  SharedDisk& disk_;
  std::vector<Fact>& facts_;
  std::unique_ptr<Fs> fs_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<blobs::BlobStore> blobs_;
  SeededRandom random_;
  std::string dir_ = "/data";
  SysTime now_;
  std::vector<std::string> faults_;
};

}  // namespace fleet::crash
