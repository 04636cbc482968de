#include "server/signing/queries.hpp"
#include "server/blobs/queries.hpp"
#include "server/catalog/check.hpp"

#include "core/crypto/hash.hpp"
#include "core/trust/updater.hpp"
#include "core/wire/release.hpp"
#include "server/catalog/queries.hpp"
#include "server/signing/repository.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>

#include <map>

namespace fleet::catalog {
namespace {

using Findings = std::vector<std::string>;

Result<void> check_blobs(db::Connection& reader, blobs::BlobStore& store, Findings& findings) {
  auto rows = reader.prepare(blobs::kAllBlobs);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    auto const expected = rows.digest(0);
    auto const found = store.inspect({expected, static_cast<std::uint64_t>(rows.int64(1)), rows.text(2)});
    if (!found) findings.push_back(fmt::format("blob {}: {}", expected.hex(), found.error().detail));
    else if (found->sha256 != expected || found->size != static_cast<std::uint64_t>(rows.int64(1)))
      findings.push_back(
          fmt::format("blob {}: its bytes have digest {} ({} bytes, expected {})", expected.hex(), found->sha256.hex(), found->size, rows.int64(1)));
  }
}

Result<void> check_files(db::Connection& reader, std::string const& name, wire::Release const& release, Findings& findings) {
  for (auto const& variant : release.variants)
    for (auto const& file : variant.files) {
      auto blob = reader.prepare(blobs::kGetBlob);
      FLEET_TRY(bool const known, blob.bind(1, file.sha256).step());
      if (!known) findings.push_back(fmt::format("release {}: there is no blob {} for '{}'", name, file.sha256.hex(), file.name));
      else if (static_cast<std::uint64_t>(blob.int64(0)) != file.size)
        findings.push_back(fmt::format("release {}: '{}' has {} bytes, its blob {}", name, file.name, file.size, blob.int64(0)));
    }
  return {};
}

/// A set's members are there, with the digests that were signed.
Result<void> check_members(db::Connection& reader, std::string const& name, wire::Release const& release, Findings& findings) {
  for (auto const& member : release.members) {
    auto row = reader.prepare(kDocumentByDigest);
    FLEET_TRY(bool const known, row.bind_all(member.model, member.version, member.digest).step());
    if (!known) findings.push_back(fmt::format("set {}: there is no {}@{} with digest {}", name, member.model, member.version, member.digest.hex()));
  }
  return {};
}

Result<void> check_documents(db::Connection& reader, Findings& findings) {
  auto rows = reader.prepare(kAllDocuments);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    auto const name = rows.text(0) + "@" + rows.text(1);
    if (crypto::sha256(rows.text_view(3)) != rows.digest(2)) findings.push_back(fmt::format("release {}: its release.json does not have its digest", name));
    auto const release = wire::decode_release(rows.text_view(3));
    if (!release) findings.push_back(fmt::format("release {}: {}", name, release.error().detail));
    if (release) FLEET_CHECK(check_files(reader, name, *release, findings));
    if (release) FLEET_CHECK(check_members(reader, name, *release, findings));
  }
}

Result<void> check_metadata(db::Connection& reader, Findings& findings) {
  auto rows = reader.prepare(signing::kAllMetadata);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    boost::system::error_code fault;
    auto const document = boost::json::parse(as_text(rows.blob(3)), fault);
    auto const* const version = fault ? nullptr : document.find_pointer("/signed/version", fault);
    if (version == nullptr || !version->is_int64() || version->get_int64() != rows.int64(2))
      findings.push_back(fmt::format("metadata {}/{}.{}.json: is not what its row says", rows.text(0), rows.int64(2), rows.text(1)));
  }
}

/// What a client that begins with the first root would fetch.
class RowFetcher final : public trust::Fetcher {
public:
  RowFetcher(db::Connection& reader, std::string_view repository) : reader_(reader), repository_(repository) {}
  Result<Bytes> fetch(std::string const& name, std::uint64_t limit_bytes) override {
    FLEET_TRY(auto const found, signing::find_metadata(reader_, repository_, name));
    if (!found) return Error{Kind::not_found, "unknown_metadata", fmt::format("there is no {} in the {} repository", name, repository_)};
    if (found->size() > limit_bytes)
      return Error{Kind::too_large, "too_large", fmt::format("{} has {} bytes, clients take {}", name, found->size(), limit_bytes)};
    auto const bytes = as_bytes(*found);
    return Bytes(bytes.begin(), bytes.end());
  }

private:
  db::Connection& reader_;
  std::string_view repository_;
};

class MemoryStore final : public trust::MetadataStore {
public:
  Result<std::optional<Bytes>> load(std::string const& role) override {
    auto const found = kept_.find(role);
    return found == kept_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<void> save(std::string const& role, BytesView bytes) override {
    kept_[role] = Bytes(bytes.begin(), bytes.end());
    return {};
  }
  Result<void> remove(std::string const& role) override {
    kept_.erase(role);
    return {};
  }

private:
  std::map<std::string, Bytes> kept_;
};

/// Every release that stands is found by a client with the digest of its row, and no other is.
Result<void> check_targets(db::Connection& reader, trust::Updater& client, Findings& findings) {
  auto rows = reader.prepare(kAllDocuments);
  for (;;) {
    FLEET_TRY(bool const row, rows.step());
    if (!row) return {};
    auto const path = fmt::format("models/{}/{}/release.json", rows.text_view(0), rows.text_view(1));
    FLEET_TRY(auto const target, client.find(path));
    bool const wanted = rows.text_view(4) == "approved";
    if (target.has_value() != wanted) findings.push_back(fmt::format("metadata: {} is {}, but {}", path, rows.text_view(4), target ? "signed" : "not signed"));
    if (!target || !wanted) continue;
    FLEET_TRY(auto const digest, target->sha256());
    if (digest != rows.digest(2))
      findings.push_back(fmt::format("metadata: {} is signed with digest {}, its row has {}", path, digest.hex(), rows.digest(2).hex()));
  }
}

/// The workflow of a client over the rows, from the first root on, at a time when `newest` was good.
Result<void> check_chain(db::Connection& reader, std::string_view repository, std::string_view newest, Findings& findings) {
  auto const judged = [&]() -> Result<void> {
    auto latest = reader.prepare(signing::kNewestMetadata);
    FLEET_TRY(bool const found, latest.bind_all(repository, newest).step());
    if (!found) return Error{Kind::not_found, "no_metadata", fmt::format("there is no {}", newest)};
    RowFetcher fetcher(reader, repository);
    MemoryStore kept;
    FLEET_TRY(auto const root, fetcher.fetch("1.root.json", trust::Limits{}.root_bytes));
    FLEET_CHECK(trust::Updater::init(kept, root));
    FLEET_TRY(auto client, trust::Updater::load(kept, fetcher, from_unix_ms(latest.int64(1)) - std::chrono::seconds{1}));
    if (newest == "root") return client.refresh_root();
    FLEET_CHECK(client.refresh());
    return check_targets(reader, client, findings);
  }();
  if (!judged && judged.error().kind == Kind::io) return judged.error();
  if (!judged) findings.push_back(fmt::format("metadata: {} repository: {}", repository, judged.error().detail));
  return {};
}

}  // namespace

Result<std::vector<std::string>> check_catalog(db::Connection& reader, blobs::BlobStore& store) {
  Findings findings;
  FLEET_CHECK(check_blobs(reader, store, findings));
  FLEET_CHECK(check_documents(reader, findings));
  FLEET_CHECK(check_metadata(reader, findings));
  FLEET_CHECK(check_chain(reader, "release", "timestamp", findings));
  FLEET_CHECK(check_chain(reader, "directive", "root", findings));
  return findings;
}

}  // namespace fleet::catalog
