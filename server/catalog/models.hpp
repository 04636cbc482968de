#pragma once

#include "core/wire/device.hpp"
#include "core/wire/release.hpp"
#include "server/events/deed.hpp"
#include "server/signing/key_ring.hpp"
#include "server/store/store.hpp"

#include <string>
#include <vector>

namespace fleet::catalog {

/// What starts when an alias moves.
struct Standing {
  std::string alias, selector;
  std::string policy;  ///< JSON: a policy, or the name of a preset
  auto operator<=>(Standing const&) const = default;
};

struct Model {
  std::string name;
  int approvals_required = 0;
  wire::Labels aliases;  ///< name -> version
  std::int64_t revision = 0;
  SysTime created_at{};
  std::string evidence = "{}";  ///< JSON, as trust::encode writes an EvidencePolicy
  std::string kind = {};  ///< model: its releases have files; set: they have members; empty: it has none yet
  std::vector<Standing> standing = {};  ///< one an alias
  wire::Protection protection = wire::Protection::none;  ///< of its releases to come: `protected`
};

[[nodiscard]] std::string model_json(Model const& model);
/// @errors not_found (code `unknown_model`)
Result<Model> load_model(db::Connection& reader, std::string_view name);
/// By name, after `after`; at most `limit`. @param only  this one alone; empty: all. @param kind  only those of it; empty: all
Result<std::vector<Model>> list_models(db::Connection& reader, std::string_view only, std::string_view kind, std::string_view after, int limit);
/// A new model with its signing role. @errors conflict (code `model_exists`)
Result<Model> create_model(store::Tx& tx, signing::KeyRing& keys, Model wanted, events::Deed const& deed);
/// Changes approvals, aliases, standing policies and what evidence is demanded of releases to come. It starts nothing. @errors not_found, conflict (alias_is_version)
Result<Model> change_model(store::Tx& tx, Model wanted, events::Deed const& deed);

}  // namespace fleet::catalog
