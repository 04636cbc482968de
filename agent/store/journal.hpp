#pragma once

#include "agent/store/model_state.hpp"
#include "agent/store/record_file.hpp"

#include <map>
#include <string>

namespace fleet::agent {

/// The last state of every model, durable before it is acted on. Append-only; written anew when it has grown.
class Journal {
public:
  /// `damaged`: records were lost; the caller compares with the links and slots and never takes it for a fresh device.
  struct Opened;
  static Result<Opened> open(Fs& fs, std::string const& path);
  /// Durable before it returns.
  Result<void> save(ModelState const& state);
  [[nodiscard]] std::map<std::string, ModelState> const& models() const { return models_; }

private:
  Journal(Fs& fs, std::string path) : fs_(&fs), path_(std::move(path)) {}
  Result<void> compact();
  Fs* fs_;
  std::string path_;
  std::unique_ptr<RecordFile> file_;
  std::map<std::string, ModelState> models_;
};

struct Journal::Opened {
  Journal journal;
  bool damaged = false;
};

}  // namespace fleet::agent
