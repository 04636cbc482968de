#pragma once

#include "cli/render/rollout.hpp"
#include "core/base/fs.hpp"
#include "core/base/random.hpp"
#include "core/base/time.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace fleet::cli {

/// The two streams and the person at them, as commands see them.
class Console {
public:
  virtual ~Console() = default;
  virtual void out(std::string_view text) = 0;  ///< data: standard output
  virtual void err(std::string_view text) = 0;  ///< messages: standard error
  [[nodiscard]] virtual bool out_is_terminal() const = 0;
  [[nodiscard]] virtual bool err_is_terminal() const = 0;
  /// True where a question reaches a person: standard input and error are a terminal.
  [[nodiscard]] virtual bool interactive() const = 0;
  [[nodiscard]] virtual render::Window window() const = 0;
  /// A line from standard input; nothing at its end.
  virtual std::optional<std::string> ask(std::string_view question) = 0;
  virtual void pause(Millis time) = 0;
};

using Environment = std::function<std::optional<std::string>(std::string const& name)>;

/// Everything outside that a command may touch.
struct Surroundings {
  Console& console;
  Fs& fs;
  Clock& clock;
  Clock& waits;  ///< requests are timed out by it: `clock`, save in tests that set that
  Random& random;
  Environment environment;
  std::string folder;  ///< absolute: where the command was started
};

}  // namespace fleet::cli
