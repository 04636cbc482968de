#include "server/store/settings.hpp"

#include "server/store/queries.hpp"

namespace fleet::store {

Result<std::optional<std::string>> load_setting(db::Connection& reader, std::string_view name) {
  auto row = reader.prepare(kGetSetting);
  FLEET_TRY(bool const found, row.bind(1, name).step());
  return found ? row.maybe_text(0) : std::nullopt;
}

Result<void> save_setting(Tx& tx, std::string_view name, std::string_view text) { return tx.prepare(kPutSetting).bind_all(name, text).run(); }

}  // namespace fleet::store
