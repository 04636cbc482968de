#include "agent/update/parts.hpp"

#include "agent/slots/retention.hpp"

#include <algorithm>

namespace fleet::agent {

Result<std::vector<Part>> load_parts(Slots const& slots, std::string const& model, Version const& version, std::string const& hardware) {
  FLEET_TRY(auto document, slots.load_release(model, version.digest));
  FLEET_TRY(auto release, wire::decode_release(document));
  std::vector<Part> out;
  for (auto const& member : wire::switch_order(release.members)) {
    FLEET_TRY(auto const text, slots.load_release(member.model, member.digest.hex()));
    FLEET_TRY(auto own, wire::decode_release(text));
    out.push_back({member.model, {member.digest.hex(), member.version}, std::move(own)});
  }
  bool const is_set = release.is_set();
  if (is_set) release.variants = {{{hardware}, {{std::string(kSetFile), document.size(), *Digest::parse(version.digest)}}}};
  out.push_back({model, version, std::move(release), is_set ? std::move(document) : std::string()});
  return out;
}

std::vector<Place> places_of(Part const& part, std::string const& hardware) {
  std::vector<Place> out;
  for (auto const* const variant : wire::variants_for(part.release, hardware)) out.push_back({slot_name(part.version.digest, variant->name), variant});
  return out;
}

SetRecord const* find_record(ModelState const& state, std::string const& digest) {
  auto const found = std::find_if(state.sets.begin(), state.sets.end(), [&](SetRecord const& one) { return one.digest == digest; });
  return digest.empty() || found == state.sets.end() ? nullptr : &*found;
}

void prune_records(ModelState& state) {
  auto const needed = needed_versions(state);
  std::erase_if(state.sets, [&](SetRecord const& one) { return !needed.contains(one.digest); });
}

}  // namespace fleet::agent
