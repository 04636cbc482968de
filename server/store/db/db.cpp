#include "server/store/db/db.hpp"

#include <fmt/format.h>

#include <utility>

namespace fleet::db {

Statement::Statement(IdleStatements& home, IdleStatements::node_type node) : home_(&home), node_(std::move(node)), engine_(node_.mapped().get()) {}
Statement::Statement(Statement&& other) noexcept = default;

Statement::~Statement() {
  if (node_.empty()) return;
  engine_->reset();
  home_->insert(std::move(node_));
}

Result<std::int64_t> Statement::affected() {
  for (;;) {
    FLEET_TRY(bool const row, step());
    if (!row) return engine_->affected();
  }
}

Result<std::int64_t> Statement::returned() {
  FLEET_TRY(bool const row, step());
  if (!row) return Error{Kind::not_found, "no_row", fmt::format("nothing is given back by: {}", engine_->sql().substr(0, 120))};
  auto const value = int64(0);
  FLEET_CHECK(run());
  return value;
}

Digest Statement::digest(int column) const {
  auto const found = Digest::from_bytes(blob(column));
  return found ? *found : Digest{};
}

std::optional<std::int64_t> Statement::maybe_int64(int column) const { return is_null(column) ? std::nullopt : std::optional(int64(column)); }
std::optional<std::string> Statement::maybe_text(int column) const { return is_null(column) ? std::nullopt : std::optional(text(column)); }

Connection::Connection(std::unique_ptr<Engine> engine) : state_(std::make_unique<State>()) { state_->engine = std::move(engine); }
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

Statement Connection::prepare(Query const& query) {
  auto& idle = state_->idle;
  if (auto const found = idle.find(query.sql); found != idle.end()) return {idle, idle.extract(found)};
  auto made = state_->engine->prepare(query);
  auto const text = made->sql();  // the key must outlive the query it came from
  return {idle, idle.extract(idle.emplace(text, std::move(made)))};
}

}  // namespace fleet::db
