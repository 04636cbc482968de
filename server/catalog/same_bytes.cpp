#include "server/catalog/same_bytes.hpp"

#include "server/catalog/queries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

namespace fleet::catalog {
namespace {

struct Known {
  std::string model, version;
  std::vector<Payload> payloads;
};

/// Every release in a state, the oldest first. Releases are few beside devices, and this is asked when one is published or revoked.
Result<std::vector<Known>> load_known(db::Connection& reader, std::string_view state) {
  std::vector<Known> out;
  auto rows = reader.prepare(kDocumentsInState);
  rows.bind(1, state);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    FLEET_TRY(auto const document, wire::decode_release(rows.text_view(2)));
    out.push_back({rows.text(0), rows.text(1), payloads_of(document)});
  }
}

std::set<std::string_view> files_of_manifest(wire::Manifest const& manifest) {
  std::set<std::string_view> out;
  auto const add_command = [&](std::vector<std::string> const& command) {
    if (!command.empty()) out.insert(command.front());
  };
  if (manifest.golden) {
    out.insert(manifest.golden->inputs);
    out.insert(manifest.golden->expect);
    add_command(manifest.golden->command);
  }
  for (auto const& check : manifest.health) add_command(check.exec);
  add_command(manifest.activate);
  return out;
}

std::set<Digest> digests_of(std::vector<Known> const& releases) {
  std::set<Digest> out;
  for (auto const& release : releases)
    for (auto const& payload : release.payloads)
      for (auto const& [sha256, size] : payload) out.insert(sha256);
  return out;
}

/// Whether `all` holds all of `part`, and there is something.
bool holds(Payload const& all, Payload const& part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [&](auto const& file) { return all.contains(file.first); });
}

/// The files of `payload` that `other` has, too, and no release that stands.
Payload shared(Payload const& payload, Payload const& other, std::set<Digest> const& standing) {
  Payload out;
  for (auto const& file : payload)
    if (other.contains(file.first) && !standing.contains(file.first)) out.insert(file);
  return out;
}

std::uint64_t bytes_of(Payload const& payload) {
  std::uint64_t sum = 0;
  for (auto const& [sha256, size] : payload) sum += size;
  return sum;
}

bool is_the_same(Payload const& payload, Payload const& revoked, std::set<Digest> const& standing) {
  auto const common = shared(payload, revoked, standing);
  return !common.empty() && (holds(payload, revoked) || 2 * bytes_of(common) >= bytes_of(payload));
}

}  // namespace

std::vector<Payload> payloads_of(wire::Release const& release) {
  auto const apart = files_of_manifest(release.manifest);
  std::vector<Payload> out;
  for (auto const& variant : release.variants) {
    Payload all, own;
    for (auto const& file : variant.files) {
      if (file.size == 0) continue;
      all.emplace(file.sha256, file.size);
      if (!apart.contains(file.name)) own.emplace(file.sha256, file.size);
    }
    out.push_back(own.empty() ? std::move(all) : std::move(own));
  }
  return out;
}

Result<void> check_not_revoked(db::Connection& reader, wire::Release const& release, std::string_view seen_model) {
  FLEET_TRY(auto const revoked, load_known(reader, "revoked"));
  if (revoked.empty()) return {};
  FLEET_TRY(auto const approved, load_known(reader, "approved"));
  auto const standing = digests_of(approved);
  auto const payloads = payloads_of(release);
  for (auto const& known : revoked)
    for (auto const& part : known.payloads)
      for (auto const& payload : payloads) {
        if (!is_the_same(payload, part, standing)) continue;
        bool const seen = seen_model.empty() || seen_model == known.model;
        return Error{Kind::conflict, "revoked_bytes",
                     fmt::format("{}@{} has the bytes of {} (file {}), which was revoked", release.model, release.version,
                                 seen ? known.model + "@" + known.version : std::string("a release of another model"),
                                 shared(payload, part, standing).begin()->first.hex()),
                     "publish other bytes; an administrator may let these pass: --reason TEXT"};
      }
  return {};
}

Result<std::vector<Release>> same_bytes(db::Connection& reader, Release const& release) {
  FLEET_TRY(auto const document, wire::decode_release(release.document));
  FLEET_TRY(auto const approved, load_known(reader, "approved"));
  auto const parts = payloads_of(document);
  std::vector<Release> out;
  for (auto const& known : approved) {
    if (known.model == release.model && known.version == release.version) continue;
    bool const same = std::any_of(known.payloads.begin(), known.payloads.end(), [&](Payload const& other) {
      return std::any_of(parts.begin(), parts.end(), [&](Payload const& part) { return holds(other, part); });
    });
    if (!same) continue;
    FLEET_TRY(auto found, load_release(reader, known.model, known.version));
    out.push_back(std::move(found));
  }
  return out;
}

}  // namespace fleet::catalog
