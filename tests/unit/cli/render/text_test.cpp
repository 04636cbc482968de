#include "cli/render/text.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fleet;
using namespace fleet::render;

TEST_CASE("width counts columns, not bytes") {
  struct Row {
    std::string_view text;
    std::size_t width;
  };
  constexpr auto kRows = std::to_array<Row>({
      {"", 0},
      {"abc", 3},
      {"é", 1},
      {"e\u0301", 1},
      {"漢字", 4},
      {"🚀", 2},
      {"█▒░", 3},
      {"…", 1},
      {"\xff\xfe", 2},
      {"\xe6\xbc", 2},
      {"\u200b", 0},
  });
  for (auto const& row : kRows) {
    CAPTURE(row.text);
    CHECK(display_width(row.text) == row.width);
  }
}

TEST_CASE("clipping keeps whole characters and never exceeds the width") {
  CHECK(clip("reader", 6) == "reader");
  CHECK(clip("reader", 5) == "read…");
  CHECK(clip("漢字漢字", 5) == "漢字…");
  CHECK(clip("漢字漢字", 4) == "漢…");
  CHECK(clip("reader", 1) == "…");
  CHECK(clip("reader", 0).empty());
  for (std::size_t width = 0; width < 12; ++width)
    CHECK(display_width(clip("a漢b字\xff"
                             "c🚀de\u0301f",
                             width)) <= width);
}

TEST_CASE("text from outside cannot steer the terminal") {
  CHECK(safe_text("a\x1b[31mb") == "a·[31mb");
  CHECK(safe_text("a\r\nb\tc") == "a  b c");
  CHECK(safe_text("\u009b31m") == "·31m");
  CHECK(safe_text("\u202egnp.exe") == "gnp.exe");
  CHECK(safe_text("\xff") == "\uFFFD");
  CHECK(safe_text("grün 漢字") == "grün 漢字");
  CHECK(safe_lines("one\ntwo\x07") == "one\ntwo·");
}

TEST_CASE("spans show their largest unit") {
  struct Row {
    std::int64_t seconds;
    std::string_view text;
  };
  constexpr auto kRows = std::to_array<Row>(
      {{-5, "0s"}, {0, "0s"}, {59, "59s"}, {60, "1m"}, {3599, "59m"}, {3600, "1h"}, {47 * 3600, "47h"}, {48 * 3600, "2d"}, {90 * 86400, "90d"}});
  for (auto const& row : kRows) CHECK(short_span(seconds{row.seconds}) == row.text);
}

TEST_CASE("times are told relative to now, past and future") {
  auto const now = from_unix_ms(1'000'000'000);
  CHECK(relative(now, now) == "now");
  CHECK(relative(now - seconds{300}, now) == "5m ago");
  CHECK(relative(now + seconds{7200}, now) == "in 2h");
}

TEST_CASE("sizes use binary units") {
  CHECK(size_text(0) == "0 B");
  CHECK(size_text(1023) == "1023 B");
  CHECK(size_text(1024) == "1.0 KiB");
  CHECK(size_text(9830) == "9.6 KiB");
  CHECK(size_text(1024 * 1024 - 1) == "1.0 MiB");
  CHECK(size_text(std::uint64_t{5} << 40U) == "5.0 TiB");
}
