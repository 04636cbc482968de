#include "core/base/text.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fleet;

TEST_CASE("text is cut between characters") {
  struct Case {
    std::string_view text;
    std::size_t most;
    std::string_view cut;
  };
  for (auto const& [text, most, cut] : std::to_array<Case>({
           {"abc", 3, "abc"},
           {"abc", 2, "ab"},
           {"aüb", 2, "a"},
           {"aüb", 3, "aü"},
           {"模型", 5, "模"},
           {"模型", 3, "模"},
           {"😀😀", 7, "😀"},
           {"😀", 3, ""},
           {"", 0, ""},
       })) {
    CAPTURE(text);
    CHECK(cut_text(text, most) == cut);
  }
}

TEST_CASE("what is no UTF-8 is replaced, and nothing else") {
  CHECK(valid_text("aü模😀\x1b\n") == "aü模😀\x1b\n");
  CHECK(valid_text("a\xffz") == "a\uFFFDz");
  CHECK(valid_text("\xc3") == "\uFFFD");
  CHECK(valid_text("\xed\xa0\x80") == "\uFFFD\uFFFD\uFFFD");  // a surrogate
  CHECK(valid_text("\xc0\xaf") == "\uFFFD\uFFFD");            // too long a form
}

TEST_CASE("no control character, no mark that turns writing, no stray byte gets through to a terminal") {
  CHECK(safe_text("a\x1b[2Jb\x07\x7f") == "a·[2Jb··");
  CHECK(safe_text("one\ntwo\tthree\r") == "one two three ");
  CHECK(safe_lines("one\ntwo\r\n") == "one\ntwo\n");
  CHECK(safe_text("C1: \u009b2J \u0085") == "C1: ·2J ·");
  CHECK(safe_text("\x9b"
                  "2J") == "\uFFFD2J");
  CHECK(safe_text("a\u202Eb\u2066c\u200Fd\u061Ce\uFEFF\u2028") == "abcde");
  CHECK(safe_text("Zähler 模型 😀") == "Zähler 模型 😀");
}

TEST_CASE("JSON is made safe by escapes and says the same") {
  CHECK(safe_json("{\n  \"a\": \"ü\"\n}") == "{\n  \"a\": \"ü\"\n}");
  CHECK(safe_json("\"\u009b\u202E\x7f\"") == R"("\u009b\u202e\u007f")");
  CHECK(safe_json("\"\U000E0041\"") == R"("\udb40\udc41")");
}
