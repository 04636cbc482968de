#pragma once

#include "agent/store/model_state.hpp"
#include "agent/store/record_file.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace fleet::agent {

/// What records of the journal look like. A program that reads none as high as what lies there is no version to go to (docs/adr/0047).
inline constexpr int kJournalFormat = 1;

/// The last state of every model, durable before it is acted on. Append-only; written anew when it has grown, when a sync of it failed, or when it could only be read. Room
/// for some fifty records is kept, so that a way back can be journalled on a full disk. Thread-safe.
class Journal {
public:
  /// `damaged`: records were lost; the caller compares with the links and slots and never takes it for a fresh device.
  struct Opened;
  static Result<Opened> open(Fs& fs, std::string const& path);
  /// Durable before it returns.
  Result<void> save(ModelState const& state);
  [[nodiscard]] std::map<std::string, ModelState> models() const;
  /// A model's last state; a fresh one for a model that has none.
  [[nodiscard]] ModelState state(std::string const& model) const;

private:
  Journal(Fs& fs, std::string path) : fs_(&fs), path_(std::move(path)) {}
  Result<void> rewrite(std::map<std::string, ModelState> const& models);
  void keep_room();
  Fs* fs_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::string path_;
  std::unique_ptr<RecordFile> file_;  ///< none: it was replaced and could not be opened again
  std::uint64_t room_until_ = 0;      ///< as long as the file is shorter, there is room
  std::map<std::string, ModelState> models_;
};

struct Journal::Opened {
  Journal journal;
  bool damaged = false;
};

}  // namespace fleet::agent
