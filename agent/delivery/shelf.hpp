#pragma once

#include "agent/slots/slots.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace fleet::agent {

/// Where files lie on this device by their digests: in any slot that is kept, of any model, under whatever name. What lies there may be spoiled by
/// now: who takes it hashes it.
class Shelf {
public:
  struct Place {
    std::string folder, name;  ///< name: relative to the folder
    [[nodiscard]] std::string path() const { return folder + "/" + name; }
  };

  /// Looks for these digests, by the releases' documents. What cannot be read is not there.
  void look(Fs& fs, Slots const& slots, std::string const& hardware, std::set<Digest> const& wanted, std::atomic<bool> const& stop);
  void add(Digest const& digest, Place place) { places_[digest].push_back(std::move(place)); }
  /// Whether some slot should have it.
  [[nodiscard]] bool has(Digest const& digest) const { return places_.contains(digest); }
  /// Those where a file of that size lies and no link leads elsewhere.
  [[nodiscard]] std::vector<Place> find(Fs& fs, Digest const& digest, std::uint64_t size) const;

private:
  std::map<Digest, std::vector<Place>> places_;
};

}  // namespace fleet::agent
