#pragma once

#include "core/base/fs.hpp"

#include <string>
#include <string_view>

namespace fleet::proof {

/// A folder that the program's user alone may write to, gone when the run is over.
class Scratch {
public:
  static Result<Scratch> make(Fs& fs, std::string const& path, Owner owner);
  Scratch(Scratch&& other) noexcept;
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch();

private:
  Scratch(Fs& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Fs& fs_;
  std::string path_;
};

/// What a program wrote to `path`, at most kOutputBytesMax. What was opened is its own, or it is neither read nor quoted: a link to a file that only root
/// reads must not end up at the server.
/// @param variable  that named the path to the program, for the error
/// @errors io; unprocessable (code `code`): the program's own
[[nodiscard]] Result<std::string> read_written(Fs& fs, std::string const& path, std::string_view variable, Owner owner, std::string const& code);

}  // namespace fleet::proof
