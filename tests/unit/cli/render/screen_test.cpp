#include "cli/render/screen.hpp"

#include <doctest/doctest.h>

using namespace fleet::render;

TEST_CASE("the first picture is only written, later ones replace it") {
  Screen screen;
  CHECK(screen.redraw({"one", "two"}, {80, 24}) == "one\ntwo\n");
  CHECK(screen.redraw({"three"}, {80, 24}) == "\x1b[2F\x1b[Jthree\n");
  CHECK(screen.redraw({"four", "five"}, {80, 24}) == "\x1b[1F\x1b[Jfour\nfive\n");
}

TEST_CASE("a window made narrower wraps the old lines, and they are all replaced") {
  Screen screen;
  (void)screen.redraw({std::string(50, 'x'), "short", ""}, {80, 24});
  CHECK(screen.redraw({"y"}, {20, 24}) == "\x1b[5F\x1b[Jy\n");  // 50 columns are three rows of 20
}

TEST_CASE("colours take no room") {
  Screen screen;
  (void)screen.redraw({"\x1b[31m" + std::string(20, 'x') + "\x1b[0m"}, {80, 24});
  CHECK(screen.redraw({"y"}, {20, 24}).starts_with("\x1b[1F"));
}

TEST_CASE("the cursor never goes above the window") {
  Screen screen;
  (void)screen.redraw(std::vector<std::string>(20, "line"), {80, 24});
  CHECK(screen.redraw({"y"}, {80, 10}).starts_with("\x1b[9F"));
}
