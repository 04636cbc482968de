#pragma once

#include "server/store/store.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace fleet::store {

/// A text of the table `settings`; nothing: it was never set.
[[nodiscard]] Result<std::optional<std::string>> load_setting(db::Connection& reader, std::string_view name);
[[nodiscard]] Result<void> save_setting(Tx& tx, std::string_view name, std::string_view text);

}  // namespace fleet::store
