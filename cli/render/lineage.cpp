#include "cli/render/lineage.hpp"

#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <map>
#include <set>
#include <vector>

namespace fleet::render {
namespace json = boost::json;
namespace {

struct Edge {
  std::string name;      ///< the relative
  std::string relation;  ///< `finetune`
};

std::string name_of(json::value const& relative) { return text_at(relative, "model") + "@" + text_at(relative, "version"); }

/// The relatives next to each release, in the server's order.
std::map<std::string, std::vector<Edge>> neighbours(json::value const& lineage, bool descendants) {
  std::map<std::string, std::vector<Edge>> out;
  if (auto const* list = member(lineage, descendants ? "descendants" : "ancestors").if_array())
    for (auto const& one : *list) out[text_at(one, "of")].push_back({name_of(one), text_at(one, "relation")});
  return out;
}

/// A text as a quoted identifier of the DOT language.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char const c : safe_text(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string lineage_tree(json::value const& lineage, bool descendants) {
  struct Line {
    Edge edge;
    std::string indent;  ///< of the line itself
    bool last;
  };
  auto const family = neighbours(lineage, descendants);
  std::set<std::string> unfolded;
  std::vector<Line> open;  // a stack, not a recursion: the depth is the server's to choose
  auto const unfold = [&](std::string const& name, std::string const& indent) {
    auto const found = family.find(name);
    if (found == family.end()) return true;
    if (!unfolded.insert(name).second) return false;
    auto const& edges = found->second;
    for (std::size_t i = edges.size(); i-- > 0;) open.push_back({edges[i], indent, i + 1 == edges.size()});
    return true;
  };
  auto const root = text_at(lineage, "release");
  auto out = safe_text(root) + "\n";
  unfold(root, "");
  while (!open.empty()) {
    auto const line = std::move(open.back());
    open.pop_back();
    bool const whole = unfold(line.edge.name, line.indent + (line.last ? "   " : "│  "));
    out += fmt::format("{}{} {} ({}){}\n", line.indent, line.last ? "└─" : "├─", safe_text(line.edge.name), safe_text(line.edge.relation), whole ? "" : " …");
  }
  if (auto const* const members = member(lineage, "members").if_array(); members != nullptr && !members->empty()) {
    out += "members\n";
    for (auto const& one : *members) out += fmt::format("   {}{}\n", safe_text(name_of(one)), text_at(one, "state") == "revoked" ? " (revoked)" : "");
  }
  if (auto const* const sets = member(lineage, "sets").if_array(); sets != nullptr && !sets->empty()) {
    out += "in sets\n";
    for (auto const& one : *sets) out += fmt::format("   {}\n", safe_text(name_of(one)));
  }
  return out;
}

std::string lineage_dot(json::value const& lineage) {
  auto out = fmt::format("digraph lineage {{\n  rankdir=LR;\n  {} [style=bold];\n", quoted(text_at(lineage, "release")));
  for (bool const descendants : {false, true})
    for (auto const& [of, edges] : neighbours(lineage, descendants))
      for (auto const& edge : edges)
        out += fmt::format("  {} -> {} [label={}];\n", quoted(descendants ? of : edge.name), quoted(descendants ? edge.name : of), quoted(edge.relation));
  auto const self = text_at(lineage, "release");
  for (bool const sets : {false, true})
    if (auto const* const list = member(lineage, sets ? "sets" : "members").if_array())
      for (auto const& one : *list)
        out += fmt::format("  {} -> {} [label=\"member\",style=dashed];\n", quoted(sets ? self : name_of(one)), quoted(sets ? name_of(one) : self));
  return out + "}\n";
}

}  // namespace fleet::render
