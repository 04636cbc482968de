#include "server/content/wanted.hpp"

#include "core/base/archive_format.hpp"
#include "core/wire/release.hpp"
#include "server/content/queries.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace fleet::routes {
namespace {

constexpr std::int64_t kAtOnce = 100;

Result<std::vector<std::int64_t>> numbers(db::Statement rows) {
  std::vector<std::int64_t> out;
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return out;
    out.push_back(rows.int64(0));
  }
}

struct Loaded {
  std::int64_t n = 0;
  wire::Release release;
  std::int64_t devices = 0;
};

Result<std::optional<Loaded>> load(db::Connection& reader, std::int64_t n) {
  auto row = reader.prepare(kDocument);
  FLEET_TRY(bool const found, row.bind(1, n).step());
  if (!found || row.text_view(3) == "revoked") return std::optional<Loaded>();
  FLEET_TRY(auto release, wire::decode_release(row.text_view(2)));
  return std::optional(Loaded{n, std::move(release)});
}

/// What devices run of a model, as far as the catalog has it; a revoked one, too: it is on their disks.
Result<std::vector<Loaded>> running_of(db::Connection& reader, std::string const& model, std::int64_t but) {
  std::vector<std::pair<std::int64_t, std::int64_t>> found;
  {
    auto rows = reader.prepare(kRunningOf);
    rows.bind_all(model, std::int64_t{kBasesMax + 1});
    for (;;) {
      FLEET_TRY(bool const row, rows.step());
      if (!row) break;
      if (rows.int64(0) != but) found.emplace_back(rows.int64(0), rows.int64(1));
    }
  }
  std::vector<Loaded> out;
  for (auto const& [n, devices] : found) {
    auto row = reader.prepare(kDocument);
    FLEET_TRY(bool const there, row.bind(1, n).step());
    if (!there || out.size() == kBasesMax) continue;
    FLEET_TRY(auto release, wire::decode_release(row.text_view(2)));
    out.push_back({n, std::move(release), devices});
  }
  return out;
}

std::string_view extension_of(std::string_view name) {
  auto const dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot);
}

/// What a file was before: of the same name; else the largest of its kind that has no namesake in the new variant.
wire::ReleaseFile const* former(wire::ReleaseFile const& file, wire::Variant const& now, wire::Variant const& before) {
  auto const named = [](wire::Variant const& variant, std::string const& name) {
    return std::find_if(variant.files.begin(), variant.files.end(), [&](wire::ReleaseFile const& one) { return one.name == name; });
  };
  if (auto const same = named(before, file.name); same != before.files.end()) return &*same;
  wire::ReleaseFile const* out = nullptr;
  for (auto const& one : before.files)
    if (extension_of(one.name) == extension_of(file.name) && named(now, one.name) == now.files.end() && (out == nullptr || one.size > out->size)) out = &one;
  return out;
}

/// What stood for a variant in an earlier release: the one of its name; else its hardware's own.
wire::Variant const* counterpart(std::string_view name, wire::Release const& base, std::string_view hardware) {
  auto const all = wire::variants_for(base, hardware);
  auto const same = std::find_if(all.begin(), all.end(), [&](wire::Variant const* one) { return one->name == name; });
  if (same != all.end()) return *same;
  return all.empty() ? nullptr : all.front();
}

class Finder {
public:
  explicit Finder(db::Connection& reader) : reader_(reader) {}

  Result<void> add(std::int64_t release, bool urgent) {
    if (!seen_.insert(release).second) return {};
    FLEET_TRY(auto const loaded, load(reader_, release));
    if (!loaded) return {};
    if (!loaded->release.is_set()) return add_files(*loaded, urgent);
    FLEET_TRY(auto const members, numbers(members_of(release)));
    for (auto const member : members) FLEET_CHECK(add(member, urgent));
    return {};
  }

  std::vector<WantedRecipe> take() {
    std::vector<WantedRecipe> out;
    for (auto& [key, one] : found_) out.push_back(std::move(one));
    // What starts from nothing serves everybody, and is what deltas are measured by.
    std::stable_sort(out.begin(), out.end(), [](auto const& a, auto const& b) { return a.devices > b.devices; });
    return out;
  }

private:
  db::Statement members_of(std::int64_t release) {
    auto rows = reader_.prepare(kMembers);
    rows.bind(1, release);
    return rows;
  }

  Result<void> add_files(Loaded const& release, bool urgent) {
    FLEET_TRY(auto const bases, running_of(reader_, release.release.model, release.n));
    std::int64_t all = 1;
    for (auto const& base : bases) all += base.devices;
    auto const sealed = release.release.protection == wire::Protection::none ? 0 : release.n;
    for (std::size_t v = 0; v < release.release.variants.size(); ++v) {
      auto const& variant = release.release.variants[v];
      for (auto const& file : variant.files) {
        if (file.size < kFileBytesMin && sealed == 0) continue;
        auto const number = static_cast<std::int64_t>(v);
        want({file.sha256, {}, sealed, release.n, number, {}, {}, all, urgent});
        for (auto const& base : bases) add_delta({file.sha256, {}, sealed, release.n, number, base.n, {}, base.devices, urgent}, file, variant, base.release);
      }
    }
    return {};
  }

  /// From each variant of the base that one of the variant's devices may have.
  void add_delta(WantedRecipe wanted, wire::ReleaseFile const& file, wire::Variant const& variant, wire::Release const& base) {
    for (auto const& hardware : variant.hardware) {
      auto const* const before = counterpart(variant.name, base, hardware);
      auto const* const was = before == nullptr ? nullptr : former(file, variant, *before);
      if (was == nullptr || was->sha256 == file.sha256 || was->size < kFileBytesMin || file.size < kFileBytesMin) continue;
      if (base.manifest.handler == wire::kArchiveHandler && archive_format(was->name)) continue;  // unpacked on devices, and gone
      wanted.base = was->sha256;
      wanted.base_variant = before - base.variants.data();
      want(wanted);
    }
  }

  void want(WantedRecipe wanted) {
    auto const [at, fresh] = found_.try_emplace({wanted.target, wanted.base, wanted.sealed}, wanted);
    if (fresh) return;
    at->second.devices = std::max(at->second.devices, wanted.devices);
    at->second.urgent = at->second.urgent || wanted.urgent;
  }

  db::Connection& reader_;
  std::set<std::int64_t> seen_;
  std::map<std::tuple<Digest, Digest, std::int64_t>, WantedRecipe> found_;
};

}  // namespace

Result<std::vector<WantedRecipe>> wanted_of(db::Connection& reader, std::int64_t release, bool urgent) {
  Finder finder(reader);
  FLEET_CHECK(finder.add(release, urgent));
  return finder.take();
}

Result<std::vector<WantedRecipe>> find_wanted(db::Connection& reader, std::atomic<bool> const& stop) {
  Finder finder(reader);
  for (std::string after;;) {
    std::vector<std::string> models;
    {
      auto rows = reader.prepare(kModelsAfter);
      rows.bind(1, after);
      for (;;) {
        FLEET_TRY(bool const row, rows.step());
        if (!row) break;
        models.push_back(rows.text(0));
      }
    }
    if (models.empty() || stop) return finder.take();
    after = models.back();
    for (auto const& model : models) {
      auto live = reader.prepare(kRolledOut);
      live.bind(1, model);
      FLEET_TRY(auto const rolled_out, numbers(std::move(live)));
      for (auto const n : rolled_out) FLEET_CHECK(finder.add(n, true));
      auto newest = reader.prepare(kNewestOf);
      newest.bind_all(model, std::int64_t{kNewestReleases});
      FLEET_TRY(auto const releases, numbers(std::move(newest)));
      for (auto const n : releases) FLEET_CHECK(finder.add(n, false));
    }
  }
}

Result<void> note_wanted(store::Store& store, std::vector<WantedRecipe> const& wanted, SysTime now) {
  for (std::size_t from = 0; from < wanted.size(); from += kAtOnce) {
    auto const job = [&](store::Tx& tx) -> Result<void> {
      for (std::size_t i = from; i < std::min(wanted.size(), from + kAtOnce); ++i) {
        auto const& one = wanted[i];
        FLEET_CHECK(tx.prepare(kWant)
                        .bind_all(one.target, one.base, one.sealed, one.release, one.variant, one.base_release, one.base_variant, one.devices, one.urgent, to_unix_ms(now))
                        .run());
      }
      return {};
    };
    FLEET_CHECK(store.write_wait(store::Lane::upkeep, job));
  }
  return {};
}

Result<std::vector<std::int64_t>> find_unwanted(db::Connection& reader, SysTime now) {
  auto old = reader.prepare(kUnwanted);
  old.bind_all(to_unix_ms(now - kUnwantedAfter), kAtOnce);
  FLEET_TRY(auto out, numbers(std::move(old)));
  auto revoked = reader.prepare(kOfRevoked);
  revoked.bind(1, kAtOnce);
  FLEET_TRY(auto const others, numbers(std::move(revoked)));
  for (auto const n : others)
    if (std::find(out.begin(), out.end(), n) == out.end()) out.push_back(n);
  return out;
}

}  // namespace fleet::routes
