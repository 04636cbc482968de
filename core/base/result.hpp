#pragma once

#include <boost/system/result.hpp>

#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace fleet {

/// What kind of failure it is. One table maps a kind to an HTTP status and one to an exit code, so a part names the kind and
/// never a number.
enum class Kind {
  bad_input,        ///< 400: the bytes or values are not acceptable
  unauthenticated,  ///< 401: no, wrong or expired credential
  forbidden,        ///< 403: known, but not allowed
  not_found,        ///< 404
  conflict,         ///< 409: it exists already with other content, or the state does not allow it
  precondition,     ///< 412: If-Match did not hold
  too_large,        ///< 413: over a limit
  unprocessable,    ///< 422: well-formed, but its content is refused (a digest that differs, a file that is not what it claims)
  required,         ///< 428: If-Match is demanded
  throttled,        ///< 429: over a rate or capacity; try again later
  signature,        ///< 403 / exit 4: a signature, threshold or chain did not verify
  expired,          ///< 403 / exit 4: metadata or credential past its time
  io,               ///< 500: the disk or the operating system failed
  corrupt,          ///< 500: stored bytes are not what was written
  timeout,          ///< 504: a deadline passed
  unavailable,      ///< 503: the peer or a part cannot be reached now
  internal,         ///< 500: a bug
};

/// One wrong place of an input: a JSON pointer (RFC 6901) and what is wrong there.
struct FieldError {
  std::string pointer;
  std::string detail;
};

/// An operating error. `code` is stable and for programs (`digest_mismatch`); `detail` says what, where, expected and got;
/// `hint` says what to do about it.
struct Error {
  Kind kind = Kind::internal;
  std::string code;
  std::string detail;
  std::string hint = {};
  std::vector<FieldError> errors = {};
};

/// HTTP status of a kind of failure (RFC 9110, RFC 6585).
[[nodiscard]] int http_status(Kind kind);
/// Kind for an HTTP status, for clients; `internal` for what is unknown.
[[nodiscard]] Kind kind_of_status(int status);
/// Exit code of a kind of failure (the list in the README, "Exit codes").
[[nodiscard]] int exit_code(Kind kind);
[[nodiscard]] std::string_view to_string(Kind kind);

[[noreturn]] void throw_exception_from_error(Error const& error, boost::source_location const& where);

template <class T = void>
using Result = boost::system::result<T, Error>;

}  // namespace fleet

#define FLEET_CONCAT_(a, b) a##b
#define FLEET_CONCAT(a, b) FLEET_CONCAT_(a, b)
#define FLEET_TRY_(tmp, decl, ...) \
  auto tmp = (__VA_ARGS__);        \
  if (!tmp) return tmp.error();    \
  decl = *std::move(tmp)
/// `FLEET_TRY(auto const x, f());` gives x the value of f(), or returns its error.
#define FLEET_TRY(decl, ...) FLEET_TRY_(FLEET_CONCAT(fleet_try_, __LINE__), decl, __VA_ARGS__)
/// `FLEET_CHECK(f());` returns the error of f(), if there is one.
#define FLEET_CHECK(...) \
  if (auto&& fleet_check_ = (__VA_ARGS__); !fleet_check_) return fleet_check_.error()
