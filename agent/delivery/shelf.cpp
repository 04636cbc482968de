#include "agent/delivery/shelf.hpp"

namespace fleet::agent {
namespace {

bool has_plain_folders(Fs& fs, Shelf::Place const& place) {
  for (auto slash = place.name.find('/'); slash != std::string::npos; slash = place.name.find('/', slash + 1))
    if (auto const folder = fs.info(place.folder + "/" + place.name.substr(0, slash)); !folder || folder->type != FileInfo::Type::directory) return false;
  return true;
}

}  // namespace

void Shelf::look(Fs& fs, Slots const& slots, std::string const& hardware, std::set<Digest> const& wanted, std::atomic<bool> const& stop) {
  auto const models = slots.models();
  for (auto const& model : models ? *models : std::vector<std::string>{}) {
    auto const versions = slots.versions(model);
    for (auto const& digest : versions ? *versions : std::vector<std::string>{}) {
      if (stop) return;
      auto const document = slots.load_release(model, digest);
      if (!document) continue;
      auto const release = wire::decode_release(*document);
      auto const* const variant = release ? wire::find_variant(*release, hardware) : nullptr;
      if (variant == nullptr || !fs.info(slots.slot(model, digest))) continue;
      auto const unpacked = slots.load_tree(model, digest);
      for (auto const& file : unpacked ? unpacked->files : variant->files)
        if (wanted.contains(file.sha256)) add(file.sha256, {slots.slot(model, digest), file.name});
    }
  }
}

std::vector<Shelf::Place> Shelf::find(Fs& fs, Digest const& digest, std::uint64_t size) const {
  std::vector<Place> out;
  auto const found = places_.find(digest);
  if (found == places_.end()) return out;
  for (auto const& place : found->second) {
    if (!has_plain_folders(fs, place)) continue;
    auto const info = fs.info(place.path());
    if (info && info->type == FileInfo::Type::file && info->size == size) out.push_back(place);
  }
  return out;
}

}  // namespace fleet::agent
