#include "cli/render/table.hpp"

#include "cli/render/text.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace fleet::render;

namespace {

Table devices() {
  return {{{"ID", false, true}, {"HARDWARE"}, {"FAILED", true}, {"REASON"}},
          {{{"cam-1"}, {"cam-a"}, {"0"}, {"nothing to say"}},
           {{"camera-0002"}, {"cam-b"}, {"12"}, {"the golden test of the release did not match its expected output"}}}};
}

std::size_t widest_line(std::string const& text) {
  std::size_t widest = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) widest = std::max(widest, display_width(line));
  return widest;
}

}  // namespace

TEST_CASE("a table lines up, numbers to the right, nothing at the end of a line") {
  CHECK(draw({{{"ID"}, {"N", true}, {"NOTE"}}, {{{"a"}, {"7"}, {""}}, {{"bcd"}, {"12"}, {"x"}}}}, {}) == "ID    N  NOTE\na     7\nbcd  12  x\n");
}

TEST_CASE("without a width nothing is shortened") { CHECK(draw(devices(), {}).find("its expected output") != std::string::npos); }

TEST_CASE("the widest columns give way to the window, ids never do") {
  for (std::size_t const width : {120U, 80U, 60U, 48U}) {
    CAPTURE(width);
    auto const text = draw(devices(), {width, false});
    CHECK(widest_line(text) <= width);
    CHECK(text.find("camera-0002") != std::string::npos);
  }
  CHECK(draw(devices(), {60, false}).find("…") != std::string::npos);
}

TEST_CASE("a window too narrow for the least columns is overflowed rather than left empty") {
  CHECK(draw(devices(), {10, false}).find("camera-0002") != std::string::npos);
}

TEST_CASE("wide characters keep the columns in line") {
  CHECK(draw({{{"NAME"}, {"S"}}, {{{"漢字"}, {"x"}}, {{"ab"}, {"y"}}}}, {}) == "NAME  S\n漢字  x\nab    y\n");
}

TEST_CASE("colours surround the text only where they are wanted") {
  Table const table{{{"STATE"}}, {{{"failed", Tone::bad}}}};
  CHECK(draw(table, {std::nullopt, true}).find("\x1b[31mfailed\x1b[0m") != std::string::npos);
  CHECK(draw(table, {std::nullopt, false}).find('\x1b') == std::string::npos);
}

TEST_CASE("escapes in cells are drawn harmless") { CHECK(draw({{{"L"}}, {{{"\x1b]0;owned\x07"}}}}, {}) == "L\n·]0;owned·\n"); }

TEST_CASE("a table without rows is its head; without columns nothing") {
  CHECK(draw({{{"ID"}, {"STATE"}}, {}}, {}) == "ID  STATE\n");
  CHECK(draw({}, {}).empty());
}

TEST_CASE("a card leaves out what is empty and indents further lines") {
  CHECK(draw_card({{"ID", {"cam-1"}}, {"KEY", {""}}, {"FILES", {"a\nb"}}}, {}) == "ID:     cam-1\nFILES:  a\n        b\n");
  CHECK(draw_card({}, {}).empty());
}

TEST_CASE("states have tones") {
  CHECK(tone_of("completed") == Tone::good);
  CHECK(tone_of("failed") == Tone::bad);
  CHECK(tone_of("paused") == Tone::warn);
  CHECK(tone_of("a state from a newer server") == Tone::plain);
}
