#include "server/rollout/shell/set_rows.hpp"

#include "server/rollout/engine/sets.hpp"
#include "server/rollout/shell/queries.hpp"

#include <boost/json/parse.hpp>

namespace fleet::rollout {

Result<WholeRelease> load_whole(db::Connection& reader, std::int64_t release_n, std::string_view document) {
  WholeRelease out;
  FLEET_TRY(out.release, wire::decode_release(document));
  if (!out.release.is_set()) return out;
  auto rows = reader.prepare(queries::kMemberDocuments);
  rows.bind_all(release_n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) break;
    FLEET_TRY(auto member, wire::decode_release(rows.text_view(0)));
    out.members.push_back(std::move(member));
  }
  out.release = as_one(std::move(out.release), out.members);
  return out;
}

Result<std::vector<SetMember>> load_members(db::Connection& reader, std::int64_t release_n) {
  std::vector<SetMember> out;
  auto rows = reader.prepare(queries::kMembers);
  rows.bind_all(release_n);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    SetMember member{rows.text(0), rows.text(1), rows.digest(2), rows.int64(3), {}};
    auto const after = boost::json::parse(rows.text(4));  // our own text
    for (auto const& name : after.as_array()) member.after.emplace_back(name.as_string());
    out.push_back(std::move(member));
  }
}

Result<std::vector<std::string>> revoked_of(db::Connection& reader, std::string const& model) {
  std::vector<std::string> out;
  auto rows = reader.prepare(queries::kRevokedOf);
  rows.bind_all(model);
  while (true) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(rows.digest(0).hex());
  }
}

}  // namespace fleet::rollout
