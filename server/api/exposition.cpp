#include "server/api/exposition.hpp"

#include <fmt/format.h>

namespace fleet::api {
namespace {

/// Names come from people and devices: a quote of theirs ends no label.
std::string quoted(std::string_view text) {
  std::string out;
  for (char const c : text) {
    if (c == '\n') out += "\\n";
    else if (c == '"' || c == '\\') (out += '\\') += c;
    else out += c;
  }
  return out;
}

}  // namespace

void Exposition::family(std::string_view name, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, name.ends_with("_total") ? "counter" : "gauge");
}

void Exposition::put(std::initializer_list<Label> labels, double value) {
  text_ += name_;
  char before = '{';
  for (auto const& [name, text] : labels) {
    text_ += fmt::format("{}{}=\"{}\"", before, name, quoted(text));
    before = ',';
  }
  text_ += fmt::format("{}{}\n", labels.size() > 0 ? "} " : " ", value);
}

}  // namespace fleet::api
