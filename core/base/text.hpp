#pragma once

#include <cstddef>
#include <string>
#include <string_view>

/// Text that others wrote. UTF-8 (RFC 3629) throughout.
namespace fleet {

struct Character {
  char32_t code;
  std::size_t bytes;
  bool valid;
};
/// The character at the start of `text`, which is not empty. Overlong forms, surrogates and stray bytes are not valid: one byte each.
[[nodiscard]] Character next_character(std::string_view text);

/// The longest beginning of `text` of at most `bytes_max` bytes that cuts no character.
[[nodiscard]] std::string_view cut_text(std::string_view text, std::size_t bytes_max);
/// `text` with U+FFFD for every byte that is no UTF-8.
[[nodiscard]] std::string valid_text(std::string_view text);

/// Makes text from devices, servers and files harmless for a terminal and a log: control characters (C0, C1, DEL) and bytes that are no
/// UTF-8 are replaced, line breaks and tabs become a space, marks that turn or hide writing (Unicode UAX 9) vanish. All that people read
/// goes through here.
[[nodiscard]] std::string safe_text(std::string_view text);
/// The same, but line breaks stay.
[[nodiscard]] std::string safe_lines(std::string_view text);
/// JSON text that says the same with what is unsafe in it escaped.
[[nodiscard]] std::string safe_json(std::string_view json);

}  // namespace fleet
