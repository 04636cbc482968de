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

/// Releases in a state that have a file, the newest first, by the index of files.
Result<std::vector<std::int64_t>> releases_with(db::Connection& reader, Digest const& sha256, std::string_view state) {
  std::vector<std::int64_t> out;
  auto rows = reader.prepare(kReleasesWithFile);
  rows.bind_all(sha256, state);
  for (;;) {
    FLEET_TRY(bool const more, rows.step());
    if (!more) return out;
    out.push_back(rows.int64(0));
  }
}

/// Releases by their row, each document read once.
class Shelf {
public:
  explicit Shelf(db::Connection& reader) : reader_(reader) {}

  Result<Known const*> load(std::int64_t n) {
    if (auto const there = known_.find(n); there != known_.end()) return &there->second;
    auto row = reader_.prepare(kReleaseByRow);
    FLEET_TRY(bool const found, row.bind(1, n).step());
    if (!found) return Error{Kind::corrupt, "bad_row", fmt::format("the index of files names release {}, which is not there", n)};
    FLEET_TRY(auto const document, wire::decode_release(row.text_view(2)));
    return &known_.emplace(n, Known{row.text(0), row.text(1), payloads_of(document)}).first->second;
  }

private:
  db::Connection& reader_;
  std::map<std::int64_t, Known> known_;
};

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

std::set<Digest> digests_of(std::vector<Payload> const& payloads) {
  std::set<Digest> out;
  for (auto const& payload : payloads)
    for (auto const& [sha256, size] : payload) out.insert(sha256);
  return out;
}

bool is_made_of(Known const& release, Digest const& sha256) {
  return std::any_of(release.payloads.begin(), release.payloads.end(), [&](Payload const& payload) { return payload.contains(sha256); });
}

/// Revoked releases that share a file with `digests`, the oldest first.
Result<std::vector<Known const*>> revoked_with(db::Connection& reader, Shelf& shelf, std::set<Digest> const& digests) {
  std::set<std::int64_t> found;
  for (auto const& sha256 : digests) {
    FLEET_TRY(auto const some, releases_with(reader, sha256, "revoked"));
    found.insert(some.begin(), some.end());
  }
  std::vector<Known const*> out;
  for (auto const n : found) {
    FLEET_TRY(auto const* const known, shelf.load(n));
    out.push_back(known);
  }
  return out;
}

/// Those of `digests` that an approved release is made of: the newest that has one is most often made of it.
Result<std::set<Digest>> standing_of(db::Connection& reader, Shelf& shelf, std::set<Digest> const& digests) {
  std::set<Digest> out;
  for (auto const& sha256 : digests) {
    FLEET_TRY(auto const some, releases_with(reader, sha256, "approved"));
    for (auto const n : some) {
      FLEET_TRY(auto const* const known, shelf.load(n));
      if (!is_made_of(*known, sha256)) continue;
      out.insert(sha256);
      break;
    }
  }
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
  auto const payloads = payloads_of(release);
  Shelf shelf(reader);
  FLEET_TRY(auto const revoked, revoked_with(reader, shelf, digests_of(payloads)));
  std::set<Digest> common;
  for (auto const sha256 : digests_of(payloads))
    if (std::any_of(revoked.begin(), revoked.end(), [&](Known const* known) { return is_made_of(*known, sha256); })) common.insert(sha256);
  FLEET_TRY(auto const standing, standing_of(reader, shelf, common));
  for (auto const* const known : revoked)
    for (auto const& part : known->payloads)
      for (auto const& payload : payloads) {
        if (!is_the_same(payload, part, standing)) continue;
        bool const seen = seen_model.empty() || seen_model == known->model;
        return Error{Kind::conflict, "revoked_bytes",
                     fmt::format("{}@{} has the bytes of {} (file {}), which was revoked", release.model, release.version,
                                 seen ? known->model + "@" + known->version : std::string("a release of another model"),
                                 shared(payload, part, standing).begin()->first.hex()),
                     "publish other bytes; an administrator may let these pass: --reason TEXT"};
      }
  return {};
}

Result<std::vector<Release>> same_bytes(db::Connection& reader, Release const& release) {
  FLEET_TRY(auto const document, wire::decode_release(release.document));
  Shelf shelf(reader);
  std::set<std::int64_t> same;
  // Whoever holds all of a variant holds any one of its files.
  for (auto const& part : payloads_of(document)) {
    if (part.empty()) continue;
    FLEET_TRY(auto const some, releases_with(reader, part.begin()->first, "approved"));
    for (auto const n : some) {
      FLEET_TRY(auto const* const known, shelf.load(n));
      bool const holds_it = std::any_of(known->payloads.begin(), known->payloads.end(), [&](Payload const& other) { return holds(other, part); });
      if (holds_it && n != release.n) same.insert(n);
    }
  }
  std::vector<Release> out;
  for (auto const n : same) {
    FLEET_TRY(auto const* const known, shelf.load(n));
    FLEET_TRY(auto found, load_release(reader, known->model, known->version));
    out.push_back(std::move(found));
  }
  return out;
}

}  // namespace fleet::catalog
