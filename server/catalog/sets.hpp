#pragma once

#include "core/wire/release.hpp"
#include "server/store/store.hpp"

#include <string>
#include <string_view>
#include <vector>

/// Sets: releases that have members in place of variants (docs/adr/0029).
namespace fleet::catalog {

struct Model;

/// A model has releases of one kind for ever. @errors conflict (code `other_kind`); unprocessable (`evidence_of_a_set`: its model demands evidence, or
/// the publication brings some)
Result<void> check_kind(Model const& model, wire::Release const& wanted, bool brings_evidence);
/// The members' rows, in the order in which they are listed, and their digests written into `wanted`.
/// @errors not_found (unknown_member), conflict (member_revoked, member_not_approved, member_changed: another digest was named),
///   unprocessable (member_is_set, no_common_hardware)
Result<std::vector<std::int64_t>> resolve_members(db::Connection& reader, wire::Release& wanted);
Result<void> keep_members(store::Tx& tx, std::int64_t release_n, wire::Release const& set, std::vector<std::int64_t> const& members);
/// @errors conflict (code `member_revoked`)
Result<void> check_members_stand(db::Connection& reader, std::int64_t release_n, std::string_view name);
/// `[{"model","version","digest","after","state"}]`; the state of those of other models than `only_model` is not told.
Result<std::string> members_json(db::Connection& reader, std::int64_t release_n, std::string_view only_model);
/// `[{"model","version","state"}]`: sets that have this release; at most a hundred, the newest first.
Result<std::string> sets_json(db::Connection& reader, std::int64_t release_n, std::string_view only_model);

}  // namespace fleet::catalog
