#pragma once

#include "core/base/fs.hpp"

#include <string>

namespace fleet::admin {

/// A private folder inside the data folder, gone when it goes out of scope.
class Scratch {
public:
  Scratch(Fs& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Scratch(Scratch const&) = delete;
  // What cannot be removed is found again by its name; what was made of it is sound.
  ~Scratch() { [[maybe_unused]] auto const removed = fs_.remove_tree(path_); }
  [[nodiscard]] std::string const& path() const { return path_; }

private:
  Fs& fs_;
  std::string path_;
};

}  // namespace fleet::admin
