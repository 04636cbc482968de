#pragma once

#include "core/base/fs.hpp"
#include "server/admin/layout.hpp"
#include "server/admin/machine.hpp"

#include <string>
#include <string_view>

namespace fleet::admin {

/// A private folder inside the data folder, gone when it goes out of scope.
class Scratch {
public:
  Scratch(Fs& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Scratch(Scratch const&) = delete;
  // What cannot be removed is found again by its name; what was made of it is sound.
  ~Scratch() { [[maybe_unused]] auto const removed = fs_.remove_tree(path_); }
  [[nodiscard]] std::string const& path() const { return path_; }
  /// A name for one in the data folder that no other has. @param what  it begins with
  [[nodiscard]] static std::string name(Layout const& layout, Machine const& machine, std::string_view what) {
    return layout.dir + "/" + make_ulid(what, to_unix_ms(machine.clock.wall()), machine.random);
  }

private:
  Fs& fs_;
  std::string path_;
};

/// A data folder that is being made. Whatever fails, nothing that looks like a server and no private key stays behind; what cannot be removed is found by the next attempt.
class Unfinished {
public:
  Unfinished(Fs& fs, std::string dir) : fs_(fs), dir_(std::move(dir)) {}
  Unfinished(Unfinished const&) = delete;
  ~Unfinished() {
    if (!dir_.empty()) [[maybe_unused]] auto const removed = fs_.remove_tree(dir_);
  }
  void finished() { dir_.clear(); }

private:
  Fs& fs_;
  std::string dir_;
};

}  // namespace fleet::admin
