#pragma once

#include "cli/client/session.hpp"
#include "cli/commands/shapes.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace fleet::cli {

/// Prints a list in the session's format while it arrives; a table when it is complete.
class ListPrinter {
public:
  ListPrinter(Session& session, Shape const& shape);
  void add(boost::json::value const& item);
  /// @param next  cursor of what was left out, empty for nothing
  void finish(std::string const& next);

private:
  Session* session_;
  Shape const* shape_;
  render::Table table_;
  std::string below_;
  std::size_t items_ = 0;
};

/// Fetches a list and prints it; `--limit` of `arguments` bounds it.
[[nodiscard]] Result<int> show_list(Session& session, Arguments const& arguments, Route const& route, Shape const& shape);
/// Prints one object: a card, JSON, or its name. @param more  further lines of the card
Result<int> show_object(Session& session, boost::json::value const& object, Shape const& shape,
                        std::vector<std::pair<std::string, render::Cell>> const& more = {});
/// Fetches one object and prints it.
[[nodiscard]] Result<int> show(Session& session, Route const& route, Shape const& shape);
/// After an action: the object for programs, a sentence on standard error for people.
Result<int> show_done(Session& session, boost::json::value const& object, Shape const& shape, std::string_view said);
/// POSTs `{"reason"}` and `more` to a verb and tells that it was done. @param said  what to tell people
[[nodiscard]] Result<int> act(Session& session, Route const& route, boost::json::value more, Shape const& shape, std::string_view said);
/// For what has no object any more: the name with -o name, the sentence for people.
Result<int> show_gone(Session& session, std::string_view name, std::string_view said);
/// Any JSON: pretty with -o json, one line with jsonl.
void show_json(Session& session, boost::json::value const& value);

/// The option that `show_list` reads.
[[nodiscard]] Option limit_option();

}  // namespace fleet::cli
