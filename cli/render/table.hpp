#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Tables and cards. Pure: cells in, text out.
namespace fleet::render {

/// What a cell tells at a glance; a colour on a terminal, nothing elsewhere.
enum class Tone { plain, good, busy, warn, bad, dim };
/// The tone of a state's name of any object (`running`, `failed`, ...).
[[nodiscard]] Tone tone_of(std::string_view state);
/// `text` with the tone's colour around it when `color`.
[[nodiscard]] std::string painted(std::string_view text, Tone tone, bool color);

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
};

struct Column {
  std::string title;
  bool right = false;  ///< numbers
  bool whole = false;  ///< never shortened: ids and names that people copy
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

/// What is drawn upon. Without a width nothing is shortened.
struct Paper {
  std::optional<std::size_t> width;
  bool color = false;
};

/// Head and rows, two spaces between columns, nothing at the end of a line. Where it is wider than the paper the widest columns that
/// are not `whole` give way, down to 8 columns each. Cells are made safe for a terminal.
[[nodiscard]] std::string draw(Table const& table, Paper const& paper);
/// `name:  value` lines; empty values are left out.
[[nodiscard]] std::string draw_card(std::vector<std::pair<std::string, Cell>> const& fields, Paper const& paper);

}  // namespace fleet::render
