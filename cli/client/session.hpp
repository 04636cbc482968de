#pragma once

#include "cli/client/api.hpp"
#include "cli/args/command.hpp"
#include "cli/render/table.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace fleet::cli {

enum class Format { table, wide, json, jsonl, name };

/// One run of one command: the global flags, the console with its rules, and the API, connected at first use.
class Session {
public:
  /// @errors bad_input (a format or duration that is none)
  static Result<Session> create(Surroundings const& around, Arguments const& globals);

  [[nodiscard]] Surroundings const& around() const { return around_; }
  [[nodiscard]] Format format() const { return format_; }
  /// True for table and wide: text for people.
  [[nodiscard]] bool for_people() const { return format_ == Format::table || format_ == Format::wide; }
  [[nodiscard]] SysTime now() const { return around_.clock.wall(); }
  [[nodiscard]] std::string const& selector() const { return selector_; }
  [[nodiscard]] std::string const& reason() const { return reason_; }
  [[nodiscard]] std::optional<Millis> timeout() const { return timeout_; }
  [[nodiscard]] SiteFlags const& flags() const { return flags_; }

  [[nodiscard]] Result<Settings> settings() const { return resolve_settings(flags_, around_); }
  /// @param request_timeout  of each request, for those to whom --timeout means the whole; else --timeout or its default
  [[nodiscard]] Result<Api*> api(std::optional<Millis> request_timeout = {});
  /// The problem object that `error` was made of, where the server wrote one; else one made here.
  [[nodiscard]] std::string problem(Error const& error) const;

  /// What a request was read from: places that an error names are then told with file and line.
  void read_from(std::function<Error(Error)> located) { located_ = std::move(located); }
  [[nodiscard]] Error located(Error error) const { return located_ ? located_(std::move(error)) : error; }

  void data(std::string_view text) { around_.console.out(text); }
  /// A message for people: a line on standard error, unless -q.
  void say(std::string_view text);
  /// True where bars and redraws may be shown on standard error.
  [[nodiscard]] bool shows_progress() const;
  /// True where a picture may be redrawn on standard output.
  [[nodiscard]] bool redraws() const;
  /// How wide standard output is, and whether it has colours.
  [[nodiscard]] render::Paper paper() const;

  /// Asks the person at the terminal; elsewhere --yes must have been given. @param what  a sentence: `This revokes device cam-1.`
  /// @errors bad_input (nobody to ask), unprocessable (the answer was no)
  [[nodiscard]] Result<void> confirm(std::string_view what);

private:
  explicit Session(Surroundings const& around) : around_(around) {}

  Surroundings around_;
  Format format_ = Format::table;
  SiteFlags flags_;
  std::string selector_, reason_;
  std::optional<Millis> timeout_;
  bool color_ = true, progress_ = true, yes_ = false, quiet_ = false;
  std::unique_ptr<Api> api_;
  std::function<Error(Error)> located_;
};

}  // namespace fleet::cli
