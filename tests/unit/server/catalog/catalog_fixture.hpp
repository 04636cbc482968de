#pragma once

#include "core/crypto/hash.hpp"
#include "core/trust/updater.hpp"
#include "server/catalog/check.hpp"
#include "server/catalog/releases.hpp"
#include "server/signing/repository.hpp"
#include "server/blobs/uploads.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <map>

/// A catalog as `fleet-server init` leaves it, on the real store and the real disk, with a clock that stands.
namespace fleet::catalog::test {

inline void must(Result<void> const& done) { REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().code + ": " + done.error().detail)); }
template <class T>
T must(Result<T> got) {
  REQUIRE_MESSAGE(got.has_value(), (got ? "" : got.error().code + ": " + got.error().detail));
  return std::move(*got);
}
template <class T>
std::string code_of(Result<T> const& got) {
  return got ? "fine" : got.error().code;
}

/// What a client keeps between refreshes.
class Kept final : public trust::MetadataStore {
public:
  std::map<std::string, Bytes> files;
  Result<std::optional<Bytes>> load(std::string const& role) override { return files.contains(role) ? std::optional(files.at(role)) : std::nullopt; }
  Result<void> save(std::string const& role, BytesView bytes) override {
    files[role] = Bytes(bytes.begin(), bytes.end());
    return {};
  }
  Result<void> remove(std::string const& role) override {
    files.erase(role);
    return {};
  }
};

class Rows final : public trust::Fetcher {
public:
  Rows(db::Connection& reader, std::string repository) : reader_(reader), repository_(std::move(repository)) {}
  Result<Bytes> fetch(std::string const& name, std::uint64_t) override {
    FLEET_TRY(auto const found, signing::find_metadata(reader_, repository_, name));
    if (!found) return Error{Kind::not_found, "none", name};
    return Bytes(as_bytes(*found).begin(), as_bytes(*found).end());
  }

private:
  db::Connection& reader_;
  std::string repository_;
};

struct Catalog {
  std::string dir = (std::filesystem::temp_directory_path() / make_ulid("fleet-catalog-", 0, system_random())).string();
  SysTime now = *parse_rfc3339("2026-11-20T10:00:00Z");
  std::unique_ptr<store::Store> store = open(dir);
  signing::KeyRing keys{system_fs(), system_random(), dir + "/keys"};
  std::unique_ptr<blobs::BlobStore> blob_store;
  blobs::UploadContext uploads{*store, system_fs(), system_random(), *blob_store};
  Kept client;  ///< one that enrolled at the start

  /// @param shared  its blobs lie in a folder that others may write to
  explicit Catalog(bool shared = false) : blob_store(blobs::in_folder(system_fs(), shared ? dir + "/shared" : dir, shared)) {
    if (shared) std::filesystem::create_directories(dir + "/shared");
    must(write([&](store::Tx& tx) { return signing::create_repositories(tx, keys, now); }));
    must(trust::Updater::init(client, as_bytes(*must(signing::find_metadata(store->reader(), "release", "1.root.json")))));
  }
  ~Catalog() {
    store->close();
    std::filesystem::remove_all(dir);
  }
  Catalog(Catalog const&) = delete;

  static std::unique_ptr<store::Store> open(std::string const& path) {
    std::filesystem::create_directories(path);
    return must(store::Store::open(path, system_clock()));
  }
  template <class F>
  Result<void> write(F const& job) {
    return store->write_wait(store::Lane::verbs, job);
  }
  void script(std::string const& sql) {
    must(write([&](store::Tx& tx) { return tx.connection().script(sql); }));
  }
  std::string read(std::string const& sql) {
    auto row = store->reader().prepare({sql, sql});
    return must(row.step()) ? row.text(0) : "(no row)";
  }
  events::Deed by(std::string const& actor) const { return {now, actor, "because", "req-1"}; }

  void add_model(std::string const& name, int approvals = 0) {
    must(store->write_value<Model>(store::Lane::verbs, [&](store::Tx& tx) { return create_model(tx, keys, {name, approvals, {}, 0, {}}, by("token:admin")); }));
  }
  /// Uploads a blob as a publisher does.
  Digest add_blob(std::string const& content) {
    auto const digest = crypto::sha256(content);
    auto const upload = must(blobs::begin_upload(uploads, digest, content.size(), "token:ci", "", now));
    if (upload.done) return digest;
    if (!content.empty()) must(blobs::append_piece(uploads, upload.id, 0, as_bytes(content), now));
    must(blobs::finish_upload(uploads, upload.id, now));
    return digest;
  }
  static std::string file_json(std::string const& name, std::string const& content, bool executable = false) {
    return fmt::format(R"({{"name":"{}","size":{},"sha256":"{}","executable":{}}})", name, content.size(), crypto::sha256(content).hex(), executable);
  }
  /// The body of a publication with one variant of one file; `more` are further members, each after a comma.
  static std::string body(std::string const& version, std::string const& content, std::string const& more = "") {
    return fmt::format(R"({{"version":"{}","variants":[{{"hardware":["cam-a"],"files":[{}]}}]{}}})", version, file_json("model.bin", content), more);
  }
  Result<Published> publish_body(std::string const& model, std::string const& body, std::string const& actor = "token:ci") {
    FLEET_TRY(auto const wanted, decode_publication(model, body));
    FLEET_TRY(auto const inspection, inspect_files(store->reader(), system_fs(), *blob_store, wanted, "token:ci", ""));
    return store->write_value<Published>(store::Lane::verbs, [&](store::Tx& tx) { return publish(tx, keys, wanted, inspection, by(actor)); });
  }
  Release add_release(std::string const& model, std::string const& version, std::string const& more = "") {
    add_blob(model + version);
    return must(publish_body(model, body(version, model + version, more))).release;
  }
  Result<Release> approve_by(std::string const& actor, std::string const& model, std::string const& version) {
    return store->write_value<Release>(store::Lane::verbs, [&](store::Tx& tx) { return approve(tx, keys, model, version, by(actor)); });
  }
  Result<Release> revoke_it(std::string const& model, std::string const& version) {
    return store->write_value<Release>(store::Lane::verbs, [&](store::Tx& tx) -> Result<Release> {
      FLEET_TRY(auto const revoked, revoke(tx, keys, model, version, {}, by("token:admin")));
      return revoked.front().release;
    });
  }
  int refresh() {
    return must(store->write_value<int>(store::Lane::verbs, [&](store::Tx& tx) { return signing::refresh_online_roles(tx, keys, now); }));
  }
  /// What the client finds now, after a refresh. @errors as the workflow has them
  Result<std::optional<trust::Target>> find(std::string const& path) {
    Rows rows(store->reader(), "release");
    FLEET_TRY(auto updater, trust::Updater::load(client, rows, now));
    FLEET_CHECK(updater.refresh());
    return updater.find(path);
  }
  std::vector<std::string> findings() { return must(check_catalog(store->reader(), *blob_store)); }
  std::string version_of(std::string const& role) { return read("SELECT max(version) FROM metadata WHERE repository = 'release' AND role = '" + role + "'"); }
};

}  // namespace fleet::catalog::test
