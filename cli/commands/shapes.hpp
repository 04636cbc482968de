#pragma once

#include "cli/render/table.hpp"
#include "core/base/time.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace boost::json {
class value;
}

/// What people see of each kind of object: its columns, and the name by which other commands take it.
namespace fleet::cli {

/// How a member becomes a cell.
enum class Form { text, state, time, list, pairs, yes_no, release, running, update, hardware, parents, members, progress, stage, error, standing, sensors };

struct Field {
  std::string_view title;
  std::string_view path;  ///< dotted; empty: the whole object
  Form form = Form::text;
  bool wide = false;  ///< in cards and with -o wide only
  bool right = false;
};

struct Shape {
  std::string_view noun;
  std::string_view name;  ///< path of what -o name prints; `model@version` joins two
  std::vector<Field> fields;
  std::vector<std::string> (*below)(boost::json::value const& item) = nullptr;  ///< lines that a list tells people of an item below its table
};

[[nodiscard]] render::Cell cell_of(boost::json::value const& object, Field const& field, SysTime now);
[[nodiscard]] std::string name_of(boost::json::value const& object, Shape const& shape);

[[nodiscard]] Shape const& device_shape();
[[nodiscard]] Shape const& device_token_shape();
[[nodiscard]] Shape const& history_shape();
[[nodiscard]] Shape const& group_shape();
[[nodiscard]] Shape const& group_id_shape();
[[nodiscard]] Shape const& model_shape();
[[nodiscard]] Shape const& release_shape();
[[nodiscard]] Shape const& set_shape();
[[nodiscard]] Shape const& rollout_shape();
[[nodiscard]] Shape const& rollout_device_shape();
[[nodiscard]] Shape const& token_shape();
[[nodiscard]] Shape const& metric_shape();
[[nodiscard]] Shape const& latest_shape();
[[nodiscard]] Shape const& event_shape();
[[nodiscard]] Shape const& audit_shape();

}  // namespace fleet::cli
