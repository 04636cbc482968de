#include "cli/bundle/inspect_bundle.hpp"

#include "cli/client/metadata.hpp"
#include "core/bundle/bundle.hpp"
#include "core/crypto/hash.hpp"
#include "core/trust/dsse.hpp"
#include "core/wire/release.hpp"
#include "core/wire/routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace fleet::cli {
namespace {

constexpr std::uint64_t kRootBytesMax = 512'000;
constexpr std::size_t kPieceBytes = 1024 * 1024;

class Inspecting {
public:
  Inspecting(Fs& fs, bundle::Bundle const& bundle, InspectOptions const& options, SysTime now) : fs_(fs), bundle_(bundle), options_(options), now_(now) {}

  InspectedBundle run() {
    if (auto const about = bundle_.read(std::string(bundle::kAbout), bundle::kAboutBytesMax)) out_.about = *about;
    note("directives", open_directives());
    note("expiry", look_at_expiry());
    note("metadata", open_metadata());
    if (options_.objects) note("objects", hash_objects());
    else out_.checks.push_back({"objects", "left out", "--quick: their digests were not computed"});
    note("complete", look_for_objects());
    for (auto const& [digest, place] : bundle_.blobs()) out_.object_bytes += place.size;
    out_.objects = bundle_.blobs().size();
    return std::move(out_);
  }

private:
  struct Named {
    wire::Release release;
    Digest digest;
  };

  void note(std::string check, Result<std::string> const& outcome) {
    out_.checks.push_back({std::move(check), outcome ? "ok" : "failed", outcome ? *outcome : outcome.error().detail});
  }

  /// @param name  of the first root that the bundle itself has
  Result<std::string> first_root(std::string const& file, std::string_view folder) {
    return file.empty() ? bundle_.read(std::string(folder) + "1.root.json", kRootBytesMax) : fs_.read(file, kRootBytesMax);
  }
  static std::string judged_by(std::string const& file, std::string_view flag) {
    return file.empty() ? fmt::format("by the bundle's own first root; {} FILE judges by one that you trust", flag) : "by " + file;
  }

  Result<std::string> open_directives() {
    MemoryStore kept;
    bundle::BundleFetcher roots(bundle_, bundle::kDirectiveRoots);
    FLEET_TRY(auto const root, first_root(options_.directive_root, bundle::kDirectiveRoots));
    FLEET_CHECK(trust::Updater::init(kept, as_bytes(root)));
    FLEET_TRY(auto updater, trust::Updater::load(kept, roots, now_));
    FLEET_CHECK(updater.refresh_root());
    directive_keys_ = updater.role_keys("targets");
    auto const& keys = directive_keys_;
    for (auto const& [id, place] : bundle_.directives()) {
      FLEET_TRY(auto const envelope, bundle_.read(fmt::format("{}{}.json", bundle::kDirectives, id.hex()), bundle::kDirectiveBytesMax));
      FLEET_TRY(auto const payload, trust::open_envelope(as_bytes(envelope), wire::kDirectivePayloadType, keys, bundle::kDirectiveBytesMax));
      FLEET_TRY(auto directive, wire::decode_directive(as_text(payload)));
      if (crypto::sha256(directive.device) != id || !directive.nonce.empty())
        return Error{Kind::signature, "foreign_directive", fmt::format("the order of device {} stands under another's name, or answers a poll", directive.device)};
      out_.directives.push_back(std::move(directive));
    }
    if (out_.directives.empty()) return Error{Kind::bad_input, "no_directive", "it has no order for any device"};
    std::sort(out_.directives.begin(), out_.directives.end(), [](auto const& a, auto const& b) { return a.device < b.device; });
    return fmt::format("{} orders, signed; {}", out_.directives.size(), judged_by(options_.directive_root, "--directive-root"));
  }

  Result<std::string> look_at_expiry() {
    auto const least = std::min_element(out_.directives.begin(), out_.directives.end(), [](auto const& a, auto const& b) { return a.expires < b.expires; });
    if (least == out_.directives.end()) return Error{Kind::bad_input, "no_directive", "no order says until when"};
    if (least->expires <= now_) return Error{Kind::expired, "directive_expired", fmt::format("expired {}", to_rfc3339(least->expires))};
    return "until " + to_rfc3339(least->expires);
  }

  Result<std::string> open_metadata() {
    MemoryStore kept;
    bundle::BundleFetcher metadata(bundle_, bundle::kMetadata);
    FLEET_TRY(auto const root, first_root(options_.tuf_root, bundle::kMetadata));
    FLEET_CHECK(trust::Updater::init(kept, as_bytes(root)));
    auto const fresh_at = out_.directives.empty() ? now_ : out_.directives.front().issued_at;
    FLEET_TRY(auto updater, trust::Updater::load(kept, metadata, now_, {}, fresh_at));
    FLEET_CHECK(updater.refresh());
    std::set<std::string> seen;
    for (auto const& directive : out_.directives)
      for (auto const& target : directive.targets)
        if (target.action == wire::Action::install && seen.insert(target.path).second) FLEET_CHECK(open_release(updater, target));
    if (releases_.empty()) return Error{Kind::bad_input, "no_release", "it holds no release that its orders name"};
    return fmt::format("{} releases, named alike by orders and metadata; {}", releases_.size(), judged_by(options_.tuf_root, "--tuf-root"));
  }

  /// What an order names without being brought here is another rollout's.
  Result<void> open_release(trust::Updater& updater, wire::DirectiveTarget const& target) {
    auto const digest = target.hashes.find("sha256");
    auto const name = fmt::format("{}targets/{}/{}.release.json", bundle::kMetadata, target.path.substr(0, target.path.rfind('/')),
                                  digest == target.hashes.end() ? std::string() : digest->second);
    if (!bundle_.files().contains(name)) return {};
    FLEET_TRY(auto const found, updater.find(target.path));
    if (!found || found->length != target.length || found->hashes != target.hashes)
      return Error{Kind::signature, "chains_disagree", fmt::format("orders and metadata disagree on {}", target.path)};
    FLEET_TRY(auto const document, bundle_.read(name, wire::kReleaseBytesMax));
    FLEET_CHECK(trust::verify_target(*found, as_bytes(document)));
    FLEET_TRY(auto release, wire::decode_release(document));
    out_.releases.push_back(release.model + "@" + release.version);
    releases_.push_back({std::move(release), crypto::sha256(document)});
    return {};
  }

  Result<std::string> hash_objects() {
    Bytes piece(kPieceBytes);
    for (auto const& [digest, place] : bundle_.blobs()) {
      crypto::Sha256 hash;
      for (std::uint64_t at = 0; at < place.size;) {
        auto const part = std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), place.size - at)));
        FLEET_CHECK(bundle_.read_at(place.offset + at, part));
        hash.update(part);
        at += part.size();
      }
      if (hash.finish() != digest) return Error{Kind::signature, "digest_mismatch", fmt::format("object {} has other bytes", digest.hex())};
    }
    return fmt::format("{}, each with its digest", bundle_.blobs().size());
  }

  /// Files of a protected release that its routes have a way to: what that takes besides the recipe is known to devices alone. Nothing: it is not protected.
  Result<std::optional<std::set<Digest>>> objects_of(Named const& named, std::string const& hardware) {
    if (named.release.protection == wire::Protection::none) return std::optional<std::set<Digest>>();
    std::set<Digest> out;
    auto const envelope = bundle_.read(bundle::routes_name(named.digest, hardware), wire::kRoutesEnvelopeBytesMax);
    if (!envelope) return std::optional(std::move(out));
    FLEET_TRY(auto const payload, trust::open_envelope(as_bytes(*envelope), wire::kRoutesPayloadType, directive_keys_, wire::kRoutesEnvelopeBytesMax));
    FLEET_TRY(auto const routes, wire::decode_routes(as_text(payload)));
    for (auto const& file : routes.files)
      if (std::any_of(file.routes.begin(), file.routes.end(), [&](auto const& route) { return route.bases.empty() && bundle_.find_blob(route.recipe).has_value(); })) out.insert(file.sha256);
    return std::optional(std::move(out));
  }

  /// A device of hardware for which something is missing would ask the network for it.
  Result<std::string> look_for_objects() {
    std::set<std::string> whole, broken;
    for (auto const& named : releases_)
      for (auto const& variant : named.release.variants)
        for (auto const& hardware : variant.hardware) {
          FLEET_TRY(auto const there, objects_of(named, hardware));
          bool const has = std::all_of(variant.files.begin(), variant.files.end(), [&](auto const& file) { return there ? there->contains(file.sha256) : bundle_.find_blob(file.sha256).has_value(); });
          (has ? whole : broken).insert(hardware);
        }
    std::set_difference(whole.begin(), whole.end(), broken.begin(), broken.end(), std::back_inserter(out_.hardware));
    if (out_.hardware.empty()) return Error{Kind::bad_input, "incomplete", "it has all objects for no hardware"};
    return fmt::format("for {}", fmt::join(out_.hardware, ", "));
  }

  Fs& fs_;
  bundle::Bundle const& bundle_;
  InspectOptions const& options_;
  SysTime now_;
  InspectedBundle out_;
  std::vector<Named> releases_;
  trust::KeySet directive_keys_;
};

}  // namespace

bool InspectedBundle::is_sound() const {
  return std::none_of(checks.begin(), checks.end(), [](BundleCheck const& one) { return one.state == "failed"; });
}

Result<InspectedBundle> inspect_bundle(Fs& fs, std::string const& path, InspectOptions const& options, SysTime now) {
  FLEET_TRY(auto file, fs.open(path, Fs::Mode::read));
  FLEET_TRY(auto const opened, bundle::Bundle::open(std::move(file)));
  return Inspecting(fs, *opened, options, now).run();
}

}  // namespace fleet::cli
