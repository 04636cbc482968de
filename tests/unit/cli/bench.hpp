#pragma once

#include "cli/commands/run.hpp"
#include "core/net/server.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

/// What the tests of commands stand on: a console of strings, a clock that only pauses move, a folder of their own, and an HTTPS
/// server that answers as a test says.
namespace fleet::cli::testing {

class FakeConsole final : public Console {
public:
  explicit FakeConsole(FakeClock& clock) : clock_(&clock) {}
  void out(std::string_view text) override { stdout_text += text; }
  void err(std::string_view text) override { stderr_text += text; }
  bool out_is_terminal() const override { return terminal; }
  bool err_is_terminal() const override { return terminal; }
  bool interactive() const override { return terminal; }
  render::Window window() const override { return {100, 24}; }
  std::optional<std::string> ask(std::string_view question) override {
    stderr_text += question;
    return answer;
  }
  void pause(Millis time) override {
    pauses.push_back(time);
    clock_->advance(time);
  }

  std::string stdout_text, stderr_text;
  bool terminal = false;
  std::optional<std::string> answer;
  std::vector<Millis> pauses;

private:
  FakeClock* clock_;
};

/// A folder that goes with the test.
class TempFolder {
public:
  TempFolder();
  ~TempFolder();
  TempFolder(TempFolder const&) = delete;
  [[nodiscard]] std::string const& path() const { return path_; }
  /// Writes a file below it, with the folders it needs; gives its path.
  std::string write(std::string const& name, std::string_view content) const;

private:
  std::string path_;
};

/// One request as the fake server saw it.
struct Seen {
  std::string line;  ///< `GET /api/v1/devices?limit=500`
  std::string body;
  net::Headers headers;
};

/// HTTPS on loopback with a CA of its own. Answers by the script; what has no answer is 404.
class FakeServer {
public:
  using Script = std::function<net::Response(Seen const& request)>;
  explicit FakeServer(Script script);
  ~FakeServer();
  [[nodiscard]] std::string url() const;
  [[nodiscard]] std::string const& ca_pem() const { return ca_pem_; }
  [[nodiscard]] std::vector<Seen> seen() const;

private:
  struct State;
  std::shared_ptr<State> state_;
  std::unique_ptr<net::Server> server_;
  std::string ca_pem_;
};

/// A problem answer as the server writes them.
[[nodiscard]] net::Response problem(int status, std::string_view code, std::string_view detail, std::string_view hint = "");

/// Runs commands in surroundings that a test sets.
struct Bench {
  Bench();
  /// Points the environment at `server`, with a token.
  void use(FakeServer const& server);
  /// Runs `fleetctl WORDS...`; the console keeps what was printed by this run only.
  int run(std::vector<std::string> const& words);

  FakeClock clock;
  FakeConsole console{clock};
  TempFolder folder;
  std::map<std::string, std::string> environment;
  std::string working_folder;
};

}  // namespace fleet::cli::testing
