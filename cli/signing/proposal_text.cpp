#include "cli/signing/proposal_text.hpp"

#include "cli/render/json.hpp"
#include "cli/render/text.hpp"
#include "cli/signing/addition.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>

namespace fleet::cli {
namespace {

/// A file as its signer sees it: lines by name, so that two files compare line by line.
using Lines = std::map<std::string, std::string>;

std::string keys_text(trust::KeySet const& set) {
  std::vector<std::string> ids;
  for (auto const& [id, key] : set.keys) ids.push_back(id);
  return fmt::format("{} of {}: {}", set.threshold, ids.size(), fmt::join(ids, ", "));
}

Lines lines_of(trust::Root const& root) {
  Lines out;
  for (auto const& [role, set] : root.roles) out["role " + role] = keys_text(set);
  return out;
}

Lines lines_of(trust::Targets const& targets) {
  Lines out;
  for (auto const& one : targets.delegations) out["role " + one.name] = keys_text(one.keys);
  for (auto const& [path, target] : targets.targets) {
    auto const digest = target.sha256();
    out[path] = fmt::format("{} bytes, sha256 {}  {}", target.length, digest ? digest->hex() : "unknown", target.custom);
  }
  return out;
}

struct Seen {
  std::int64_t version = 0;
  SysTime expires{};
  Lines lines;
  std::vector<std::string> signed_by;
};

Result<Seen> look(std::string const& role, std::string const& text) {
  FLEET_TRY(auto const file, trust::read_signed(as_bytes(text), trust::Proposal::kBytesMax));
  Seen out;
  for (auto const& [id, signature] : file.signatures) out.signed_by.push_back(id);
  if (role == "root" || role == "directive-root") {
    FLEET_TRY(auto const root, trust::decode_root(file));
    out.version = root.version;
    out.expires = root.expires;
    out.lines = lines_of(root);
    return out;
  }
  FLEET_TRY(auto const targets, trust::decode_targets(file));
  out.version = targets.version;
  out.expires = targets.expires;
  out.lines = lines_of(targets);
  return out;
}

/// All that the file will say, with a mark on what is new: nobody vouches for what stood before, so that nothing is left out for being there already.
std::string changes(Lines const& before, Lines const& after) {
  std::string out;
  for (auto const& [name, text] : before) {
    auto const still = after.find(name);
    if (still == after.end() || still->second != text) out += fmt::format("  - {}  {}\n", name, text);
  }
  for (auto const& [name, text] : after) {
    auto const old = before.find(name);
    out += fmt::format("  {} {}  {}\n", old != before.end() && old->second == text ? '=' : '+', name, text);
  }
  return out;
}

std::string file_text(trust::ProposedFile const& file) {
  auto const after = look(file.role, file.after);
  if (!after) return fmt::format("{}: cannot be read: {}\n", file.role, after.error().detail);
  Seen before;
  if (!file.before.empty()) {
    auto const seen = look(file.role, file.before);
    if (!seen) return fmt::format("{}: what stands now cannot be read: {}\n", file.role, seen.error().detail);
    before = *seen;
  }
  return fmt::format("{}: version {} -> {}, good until {}\n{}  signed by: {}\n", file.role, before.version, after->version, to_rfc3339(after->expires),
                     changes(before.lines, after->lines), after->signed_by.empty() ? "nobody yet" : fmt::format("{}", fmt::join(after->signed_by, ", ")));
}

}  // namespace

std::string proposal_text(trust::Proposal const& proposal) {
  std::string out;
  for (auto const& file : proposal.files) out += file_text(file);
  return render::safe_lines(out);
}

Result<void> check_readable(trust::Proposal const& proposal) {
  for (auto const& file : proposal.files) FLEET_CHECK(trust::check_nothing_hidden(file.role, as_bytes(file.after)));
  return {};
}

Result<void> check_floors(trust::Proposal const& proposal) {
  for (auto const& file : proposal.files) {
    if (file.role == "root" || file.role == "directive-root") continue;
    FLEET_TRY(auto const read, trust::read_signed(as_bytes(file.after), trust::Proposal::kBytesMax));
    FLEET_TRY(auto const targets, trust::decode_targets(read));
    for (auto const& [path, target] : targets.targets) {
      auto const custom = wire::parse_json(target.custom.empty() ? "{}" : target.custom, 1024 * 1024);
      if (!custom) return custom.error();
      auto const floor = render::number_at(*custom, "security_floor"), counter = render::number_at(*custom, "release_counter");
      if (floor > counter)
        return unexpected(fmt::format("{} has the security_floor {}, above its own counter {}: devices that run it would take no later release", path, floor, counter));
    }
  }
  return {};
}

}  // namespace fleet::cli
