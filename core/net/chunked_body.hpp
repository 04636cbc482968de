#pragma once

#include "core/base/result.hpp"

#include <functional>

namespace fleet::net {

/// The framing of a chunked body (RFC 9112, 7.1), read by the letter: peers that end lines at a bare LF, or take other digits, would see
/// another message there, and that difference is what smuggling lives on. Extensions and trailers are checked and mean nothing.
class ChunkedBody {
public:
  /// Takes a piece of the content. @errors whatever it likes: they end the reading
  using Take = std::function<Result<void>(std::string_view piece)>;

  /// Consumes a prefix of `bytes`; what is left must come again with what follows, or belongs to the next message.
  /// @errors bad_input (code `bad_chunk`), what `take` says
  Result<std::size_t> feed(std::string_view bytes, Take const& take);
  [[nodiscard]] bool is_done() const { return state_ == State::done; }

private:
  enum class State { size, content, content_end, trailer, done } state_ = State::size;
  Result<void> read_size(std::string_view line);
  Result<void> read_trailer(std::string_view line);
  std::uint64_t left_ = 0;  ///< of the chunk under way
  std::size_t trailers_ = 0;
};

}  // namespace fleet::net
