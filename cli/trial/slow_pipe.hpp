#pragma once

#include "core/base/result.hpp"
#include "core/base/time.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <thread>

namespace fleet::cli {

/// A named pipe that a program reads its inputs from as they come: a line, then a pause. For one run: who opens it again waits for ever.
class SlowPipe {
public:
  /// @param path  must not be there yet @errors io
  static Result<std::unique_ptr<SlowPipe>> make(std::string path, std::string text, Millis delay);
  SlowPipe(SlowPipe const&) = delete;
  ~SlowPipe();

private:
  SlowPipe(std::string path, std::string text, Millis delay);
  void serve();
  /// False: it is over.
  bool pause(Millis time) const;
  void feed(int fd) const;

  std::string path_, text_;
  Millis delay_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace fleet::cli
