#include "core/base/users.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace fleet::user_tables {
namespace {

/// Calls `use` with the fields of each line that has enough of them, until it says that it has seen enough.
template <std::size_t kFields, class Use>
void each_line(std::string_view text, Use use) {
  while (!text.empty()) {
    auto const end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::array<std::string_view, kFields> fields;
    std::size_t count = 0;
    for (bool more = true; more && count < kFields; ++count) {
      auto const colon = line.find(':');
      more = colon != std::string_view::npos;
      fields[count] = line.substr(0, colon);
      line.remove_prefix(more ? colon + 1 : line.size());
    }
    if (count == kFields && !fields[0].empty() && use(fields)) return;
  }
}

template <class Id>
std::optional<Id> number(std::string_view text) {
  Id out = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

bool lists(std::string_view members, std::string_view name) {
  while (!members.empty()) {
    auto const comma = std::min(members.find(','), members.size());
    if (members.substr(0, comma) == name) return true;
    members.remove_prefix(std::min(comma + 1, members.size()));
  }
  return false;
}

}  // namespace

std::optional<SystemUser> user(std::string_view passwd, std::string_view name) {
  std::optional<SystemUser> out;
  each_line<7>(passwd, [&](auto const& fields) {
    auto const uid = number<uid_t>(fields[2]);
    auto const gid = number<gid_t>(fields[3]);
    if (fields[0] == name && uid && gid) out = SystemUser{*uid, *gid};
    return out.has_value();
  });
  return out;
}

std::optional<gid_t> group(std::string_view groups, std::string_view name) {
  std::optional<gid_t> out;
  each_line<4>(groups, [&](auto const& fields) {
    if (fields[0] == name) out = number<gid_t>(fields[2]);
    return out.has_value();
  });
  return out;
}

std::vector<gid_t> groups_of(std::string_view groups, std::string_view name, gid_t gid) {
  std::vector<gid_t> out{gid};
  each_line<4>(groups, [&](auto const& fields) {
    auto const id = lists(fields[3], name) ? number<gid_t>(fields[2]) : std::nullopt;
    if (id && std::find(out.begin(), out.end(), *id) == out.end()) out.push_back(*id);
    return false;
  });
  return out;
}

}  // namespace fleet::user_tables
