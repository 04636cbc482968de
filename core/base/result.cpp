#include "core/base/result.hpp"

#include <array>
#include <stdexcept>

namespace fleet {
namespace {

struct Row {
  Kind kind;
  int status;
  int exit;
  std::string_view name;
};

// The first row with a status is the one that `kind_of_status` answers with.
constexpr auto kRows = std::to_array<Row>({
    {Kind::bad_input, 400, 2, "bad_input"},
    {Kind::unauthenticated, 401, 4, "unauthenticated"},
    {Kind::forbidden, 403, 4, "forbidden"},
    {Kind::not_found, 404, 3, "not_found"},
    {Kind::conflict, 409, 6, "conflict"},
    {Kind::precondition, 412, 6, "precondition"},
    {Kind::too_large, 413, 1, "too_large"},
    {Kind::unprocessable, 422, 1, "unprocessable"},
    {Kind::required, 428, 2, "required"},
    {Kind::throttled, 429, 8, "throttled"},
    {Kind::signature, 403, 4, "signature"},
    {Kind::expired, 403, 4, "expired"},
    {Kind::internal, 500, 1, "internal"},
    {Kind::io, 500, 1, "io"},
    {Kind::corrupt, 500, 1, "corrupt"},
    {Kind::timeout, 504, 7, "timeout"},
    {Kind::unavailable, 503, 8, "unavailable"},
});

constexpr Row const& row(Kind kind) {
  for (auto const& r : kRows)
    if (r.kind == kind) return r;
  return kRows.back();
}

}  // namespace

int http_status(Kind kind) { return row(kind).status; }
int exit_code(Kind kind) { return row(kind).exit; }
std::string_view to_string(Kind kind) { return row(kind).name; }

Kind kind_of_status(int status) {
  for (auto const& r : kRows)
    if (r.status == status) return r.kind;
  return status >= 400 && status < 500 ? Kind::bad_input : Kind::internal;
}

void throw_exception_from_error(Error const& error, boost::source_location const& where) {
  throw std::logic_error(std::string("value of a failed result: ") + error.code + ": " + error.detail + " at " + where.file_name() + ":" +
                         std::to_string(where.line()));
}

}  // namespace fleet
