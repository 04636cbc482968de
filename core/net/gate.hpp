#pragma once

#include "core/net/http.hpp"

#include <cstddef>
#include <string_view>

/// The strict gate before the parser. Beast 1.81 accepts much that another server reads otherwise (codings besides `chunked`, folded lines,
/// lengths given twice, missing or double Host): that difference is what request smuggling lives on. What is not plainly right is refused.
namespace fleet::net {

inline constexpr std::size_t kHeaderLinesMax = 100;

/// Where the header block ends, as far as `bytes` show it.
struct HeadEnd {
  enum class State { incomplete, complete, refused } state = State::incomplete;
  std::size_t size = 0;  ///< complete: bytes of the block with its empty line; incomplete: where to look on next time
};
/// Looks for the empty line, from `from` on (0, or `size` of the last look at the same bytes). A bare LF is refused at once, not waited out.
[[nodiscard]] HeadEnd find_head_end(std::string_view bytes, std::size_t from);

/// Path and query of a target that the gate let through.
[[nodiscard]] std::string origin_form(std::string_view target);

/// What the gate learned of a block that it let through.
struct HeadFacts {
  bool chunked = false;
  bool expects_continue = false;
};
/// Judges a whole header block, request line to empty line (RFC 9112, sections 2, 3, 5, 6; stricter where it leaves a choice).
/// @errors bad_input with the code `bad_request`, or `expectation_failed`
[[nodiscard]] Result<HeadFacts> check_head(std::string_view block);

}  // namespace fleet::net
