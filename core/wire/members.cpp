#include "core/wire/members.hpp"

#include "core/base/names.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace fleet::wire {
namespace json = boost::json;
namespace {

Member read_member(ObjectReader& reader, bool is_signed) {
  Member out{reader.required_text("model", 64), reader.required_text("version", 64), {}, reader.texts("after", kMembersMax, 64)};
  if (auto const fine = check_model_name(out.model); !fine) reader.fault("model", fine.error().detail);
  if (auto const fine = check_version_name(out.version); !fine) reader.fault("version", fine.error().detail);
  if (!is_signed && reader.find("digest") == nullptr) return out;
  auto const digest = Digest::parse(reader.required_text("digest", 64));
  if (digest) out.digest = *digest;
  else reader.fault("digest", "expected 64 hex characters, lower case");
  return out;
}

void check_after(std::vector<Member> const& members, std::vector<FieldError>& faults) {
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::set<std::string_view> seen;
    for (auto const& before : members[i].after) {
      auto const at = fmt::format("/members/{}/after", i);
      bool const known = std::any_of(members.begin(), members.end(), [&](Member const& one) { return one.model == before; });
      if (!known) faults.push_back({at, fmt::format("'{}' is no member of this set", before)});
      if (!seen.insert(before).second) faults.push_back({at, fmt::format("'{}' stands twice", before)});
    }
  }
  if (faults.empty() && switch_order(members).size() < members.size()) faults.push_back({"/members", "some members come after each other in a circle: none of them would be first"});
}

void read_members(json::array const& list, Release& release, bool is_signed, std::vector<FieldError>& faults) {
  std::set<std::string> models;
  for (std::size_t i = 0; i < list.size(); ++i) {
    ObjectReader reader(list[i], fmt::format("/members/{}", i), faults);
    auto member = read_member(reader, is_signed);
    if (!models.insert(member.model).second) reader.fault("model", fmt::format("'{}' stands twice", member.model));
    if (member.model == release.model) reader.fault("model", "a set is no member of itself");
    if (!is_signed) reader.refuse_unknown();
    release.members.push_back(std::move(member));
  }
  if (list.empty()) faults.push_back({"/members", "at least one member is required"});
  check_after(release.members, faults);
}

}  // namespace

void read_set(ObjectReader& reader, Release& release, bool is_signed, std::vector<FieldError>& faults) {
  if (auto const* const list = reader.array("members", kMembersMax)) read_members(*list, release, is_signed, faults);
  for (auto const* const key : {"variants", "manifest"})
    if (reader.find(key) != nullptr) reader.fault(key, "a set has members in place of it: files, tests and checks are theirs");
}

json::array members_json(std::vector<Member> const& members) {
  json::array out;
  for (auto const& member : members)
    out.push_back(json::object{{"model", member.model},
                               {"version", member.version},
                               {"digest", member.digest.hex()},
                               {"after", json::array(member.after.begin(), member.after.end())}});
  return out;
}

std::vector<Member> switch_order(std::vector<Member> const& members) {
  std::vector<Member> out;
  std::set<std::string_view> done;
  auto const is_next = [&](Member const& one) {
    return !done.contains(one.model) && std::all_of(one.after.begin(), one.after.end(), [&](auto const& before) { return done.contains(before); });
  };
  for (auto next = members.begin(); (next = std::find_if(members.begin(), members.end(), is_next)) != members.end();) {
    done.insert(next->model);
    out.push_back(*next);
  }
  return out;
}

}  // namespace fleet::wire
