#include "cli/bundle/export_bundle.hpp"

#include "cli/client/metadata.hpp"
#include "cli/render/json.hpp"
#include "cli/render/text.hpp"
#include "core/bundle/bundle.hpp"
#include "core/crypto/hash.hpp"
#include "core/wire/release.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <map>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::uint64_t kRootBytesMax = 512'000;

/// A release.json as the metadata names it, and where it lies.
struct Document {
  std::string name;
  std::string text;
  wire::Release release;
};

class Exporter {
public:
  Exporter(Session& session, Api& api, OrderedBundle const& ordered) : session_(session), api_(api), ordered_(ordered) {}

  Result<ExportedBundle> run(std::string const& path) {
    FetchedMetadata roots(api_, "/device/v1/directive/"), metadata(api_, "/tuf/");
    FLEET_CHECK(fetch_roots(roots));
    FLEET_CHECK(fetch_releases(metadata));
    FLEET_TRY(auto writer, bundle::BundleWriter::create(session_.around().fs, path));
    FLEET_CHECK(writer.put(bundle::kAbout, about()));
    for (auto const& [name, bytes] : roots.files()) FLEET_CHECK(writer.put(std::string(bundle::kDirectiveRoots) + name, as_text(bytes)));
    FLEET_CHECK(put_directives(writer));
    for (auto const& [name, bytes] : metadata.files()) FLEET_CHECK(writer.put(std::string(bundle::kMetadata) + name, as_text(bytes)));
    for (auto const& document : documents_) FLEET_CHECK(writer.put(document.name, document.text));
    FLEET_CHECK(put_routes(writer));
    ExportedBundle out;
    FLEET_TRY(out.objects, put_objects(writer));
    FLEET_TRY(out.bytes, writer.finish());
    return out;
  }

private:
  std::string about() const {
    json::array hardware;
    for (auto const& name : ordered_.hardware) hardware.push_back(json::value(name));
    return render::json_text(json::object{{"format", 1},
                                          {"id", ordered_.id},
                                          {"release", ordered_.model + "@" + ordered_.version},
                                          {"created_at", ordered_.created_at},
                                          {"expires_at", ordered_.expires_at},
                                          {"devices", ordered_.devices},
                                          {"hardware", std::move(hardware)}},
                             0);
  }

  /// The chain from the first root on: a device may trust any of them.
  Result<void> fetch_roots(FetchedMetadata& roots) {
    MemoryStore kept;
    FLEET_TRY(auto const first, roots.fetch("1.root.json", kRootBytesMax));
    FLEET_CHECK(trust::Updater::init(kept, first));
    FLEET_TRY(auto updater, trust::Updater::load(kept, roots, session_.now()));
    return updater.refresh_root();
  }

  Result<void> fetch_releases(FetchedMetadata& metadata) {
    MemoryStore kept;
    FLEET_TRY(auto const first, metadata.fetch("1.root.json", kRootBytesMax));
    FLEET_CHECK(trust::Updater::init(kept, first));
    FLEET_TRY(auto updater, trust::Updater::load(kept, metadata, session_.now()));
    FLEET_CHECK(updater.refresh());
    FLEET_CHECK(fetch_release(updater, ordered_.model, ordered_.version));
    auto const members = documents_.front().release.members;
    for (auto const& member : members) FLEET_CHECK(fetch_release(updater, member.model, member.version));
    return {};
  }

  Result<void> fetch_release(trust::Updater& updater, std::string const& model, std::string const& version) {
    auto const path = fmt::format("models/{}/{}/release.json", model, version);
    FLEET_TRY(auto const found, updater.find(path));
    if (!found) return Error{Kind::signature, "not_signed", fmt::format("no trusted role signs {}@{}", model, version), "was it approved, or revoked meanwhile?"};
    FLEET_TRY(auto const digest, found->sha256());
    Document out{fmt::format("{}targets/models/{}/{}/{}.release.json", bundle::kMetadata, model, version, digest.hex()), {}, {}};
    FLEET_TRY(auto answer, api_.send(net::Method::get, "/" + out.name));
    FLEET_CHECK(trust::verify_target(*found, as_bytes(answer.body)));
    FLEET_TRY(out.release, wire::decode_release(answer.body));
    out.text = std::move(answer.body);
    documents_.push_back(std::move(out));
    return {};
  }

  Result<void> put_directives(bundle::BundleWriter& writer) {
    Result<void> failed;
    std::size_t count = 0;
    FLEET_CHECK(api_.list(Route("/bundles/{}/directives", {ordered_.id}), 0, [&](json::value const& item) {
      if (!failed) return;
      failed = writer.put(bundle::directive_name(render::text_at(item, "device")), render::text_at(item, "directive"));
      ++count;
    }));
    FLEET_CHECK(failed);
    if (static_cast<std::int64_t>(count) == ordered_.devices) return {};
    return Error{Kind::conflict, "orders_missing", fmt::format("{} directives came, {} were ordered", count, ordered_.devices), "a device was deleted meanwhile: export again"};
  }

  /// Of protected releases: how a hardware's files are made, and the encrypted objects that this takes.
  Result<void> put_routes(bundle::BundleWriter& writer) {
    for (auto const& document : documents_) {
      if (document.release.protection == wire::Protection::none) continue;
      auto const digest = crypto::sha256(document.text);
      for (auto const& hardware : ordered_.hardware) {
        if (wire::variants_for(document.release, hardware).empty()) continue;
        Route route("/bundles/{}/routes", {ordered_.id});
        route.with("release", digest.hex()).with("hardware", hardware);
        FLEET_TRY(auto const answer, api_.get(route));
        FLEET_CHECK(writer.put(bundle::routes_name(digest, hardware), render::text_at(answer, "routes")));
        auto const* const objects = render::member(answer, "objects").if_array();
        for (std::size_t i = 0; objects != nullptr && i < objects->size(); ++i) {
          FLEET_TRY(auto const object, Digest::parse(render::text_at((*objects)[i], "sha256")));
          encrypted_.emplace(object, static_cast<std::uint64_t>(render::number_at((*objects)[i], "size")));
        }
      }
    }
    return {};
  }

  /// Each once, however many files and variants it is in.
  Result<std::size_t> put_objects(bundle::BundleWriter& writer) {
    auto objects = encrypted_;
    for (auto const& document : documents_) {
      if (document.release.protection != wire::Protection::none) continue;
      for (auto const& variant : document.release.variants) {
        bool const wanted = std::any_of(variant.hardware.begin(), variant.hardware.end(), [&](auto const& name) { return ordered_.hardware.contains(name); });
        for (auto const& file : variant.files)
          if (wanted) objects.emplace(file.sha256, file.size);
      }
    }
    std::uint64_t bytes = 0;
    for (auto const& [digest, size] : objects) bytes += size;
    session_.say(fmt::format("{} objects, {}", objects.size(), render::size_text(bytes)));
    for (auto const& [digest, size] : objects) FLEET_CHECK(put_object(writer, digest, size));
    return objects.size();
  }

  Result<void> put_object(bundle::BundleWriter& writer, Digest const& digest, std::uint64_t size) {
    FLEET_CHECK(writer.begin(bundle::blob_name(digest), size));
    crypto::Sha256 hash;
    FLEET_CHECK(api_.download("/blobs/sha256/" + digest.hex(), size, [&](BytesView piece) {
      hash.update(piece);
      return writer.append(piece);
    }));
    if (hash.finish() != digest) return Error{Kind::signature, "digest_mismatch", fmt::format("object {} came with other bytes", digest.hex())};
    return writer.end();
  }

  Session& session_;
  Api& api_;
  OrderedBundle const& ordered_;
  std::vector<Document> documents_;
  std::map<Digest, std::uint64_t> encrypted_;  ///< objects of protected releases
};

}  // namespace

Result<ExportedBundle> export_bundle(Session& session, Api& api, OrderedBundle const& ordered, std::string const& path) {
  return Exporter(session, api, ordered).run(path);
}

}  // namespace fleet::cli
