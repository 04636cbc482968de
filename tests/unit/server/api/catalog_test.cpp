#include "server/blobs/store/blob_store.hpp"
#include "server/blobs/turns.hpp"
#include "server/signing/key_ring.hpp"
#include "server/signing/repository.hpp"
#include "tests/unit/server/api/api_fixture.hpp"

using namespace fleet;
using namespace fleet::test;

namespace {

using M = net::Method;

/// The catalog's routes on both listeners, over a repository as `init` leaves it.
struct CatalogApi : StoreFixture {
  std::unique_ptr<blobs::BlobStore> blob_store = blobs::in_folder(system_fs(), dir.path(), false);
  signing::KeyRing keys{system_fs(), system_random(), dir.path() + "/keys"};
  std::unique_ptr<api::ApiHandler> api, devices;
  net::Peer peer{"127.0.0.1:1", true, false, {}, {}, {}, {}};
  std::unique_ptr<net::Attachment> attachment;
  std::string const content = "0123456789";
  std::string const digest = crypto::sha256(content).hex();

  CatalogApi() {
    services.keys = &keys;
    services.blobs = blob_store.get();
    must(store->write_wait(store::Lane::verbs, [&](store::Tx& tx) -> Result<void> {
      FLEET_CHECK(tx.connection().script("DELETE FROM metadata"));
      return signing::create_repositories(tx, keys, kStart);
    }));
    api = std::make_unique<api::ApiHandler>(services, api::Listener::api, std::vector{&api::catalog_routes()});
    devices = std::make_unique<api::ApiHandler>(services, api::Listener::device, std::vector{&api::catalog_routes()});
    for (auto const* const role : {"viewer", "publisher", "approver", "admin"}) add_token(role, role, {});
    add_token("bound", "publisher", "other");
  }
  static void must(Result<void> const& done) { REQUIRE_MESSAGE(done.has_value(), (done ? "" : done.error().detail)); }
  void add_token(std::string const& name, std::string const& role, std::optional<std::string> const& model) {
    sql({"test.token", "INSERT INTO tokens (id, name, role, model, hash, created_by, created_at) VALUES (?1, ?2, ?3, ?4, ?5, 'test', 0)"}, "tok-" + name, name,
        role, model, crypto::sha256("flt_" + name));
  }
  void be_device() {
    Digest key;
    key.bytes.fill(7);
    sql({"test.device", "INSERT INTO devices (id, hardware, state, key_sha256, not_after, created_at) VALUES ('cam-1', 'cam-a', 'active', ?1, ?2, 0)"}, key,
        to_unix_ms(kStart + std::chrono::hours(24)));
    peer.has_certificate = true;
    peer.key_sha256 = key;
  }
  net::Response raw(api::ApiHandler& handler, Ask const& ask) {
    net::Request request;
    request.method = ask.method;
    request.target = ask.target;
    request.body = ask.body;
    request.headers = ask.headers;
    if (!ask.token.empty()) request.headers.push_back({"Authorization", "Bearer " + ask.token});
    request.peer = &peer;
    request.attachment = &attachment;
    auto const sink = std::make_shared<CatchingSink>();
    auto future = sink->promise.get_future();
    handler.handle(std::move(request), net::Responder(sink));
    REQUIRE(future.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
    return future.get();
  }
  Answer send(Ask const& ask) {
    auto response = raw(*api, ask);
    Answer out{response.status, response.headers, {}};
    if (auto* const text = std::get_if<std::string>(&response.body)) out.body = *text;
    return out;
  }
  Answer put(std::string const& target, std::string const& body, net::Headers const& headers = {}, std::string const& token = "flt_admin") {
    return send({M::put, target, body, token, headers});
  }
  Answer post(std::string const& target, std::string const& body, std::string const& token = "flt_publisher") { return send({M::post, target, body, token}); }
  Answer piece(std::string const& id, std::string const& offset, std::string const& bytes, std::string const& token = "flt_publisher") {
    return send({M::patch, "/api/v1/uploads/" + id, bytes, token, {{"Upload-Offset", offset}}});
  }
  /// Uploads `content`.
  void add_blob() {
    auto const upload = post("/api/v1/uploads", fmt::format(R"({{"sha256":"{}","size":10}})", digest));
    REQUIRE(upload.status == 201);
    REQUIRE(piece(upload.text("id"), "0", content).status == 200);
    REQUIRE(put("/api/v1/uploads/" + upload.text("id"), "", {}, "flt_publisher").status == 200);
  }
  void add_release() {
    REQUIRE(put("/api/v1/models/reader", "{}").status == 201);
    add_blob();
    REQUIRE(post("/api/v1/models/reader/releases", body("1")).status == 201);
  }
  std::string body(std::string const& version, std::string const& more = "") const {
    return fmt::format(R"({{"version":"{}","variants":[{{"hardware":["cam-a"],"files":[{{"name":"m.bin","size":10,"sha256":"{}"}}]}}]{}}})", version, digest,
                       more);
  }
};

}  // namespace

TEST_CASE_FIXTURE(CatalogApi, "a model is put, and changed only by who has read it") {
  auto const made = put("/api/v1/models/reader", "{}");
  CHECK(made.status == 201);
  CHECK(made.text("name") == "reader");
  CHECK(put("/api/v1/models/reader", R"({"approvals_required":1})").status == 428);
  CHECK(put("/api/v1/models/reader", R"({"approvals_required":1})", {{"If-Match", "\"7\""}}).status == 412);
  auto const changed = put("/api/v1/models/reader", R"({"approvals_required":1})", {{"If-Match", made.header("ETag")}});
  CHECK(changed.status == 200);
  CHECK(changed.json().at("approvals_required") == 1);
  CHECK(put("/api/v1/models/reader", R"({"approvals":1})", {{"If-Match", "*"}}).status == 400);
  CHECK(put("/api/v1/models/Bad%20Name", "{}").status == 400);
  CHECK(put("/api/v1/models/another", "{}", {}, "flt_publisher").status == 403);
  auto const list = send({M::get, "/api/v1/models?limit=1"});
  CHECK(list.json().at("items").as_array().size() == 1);
  CHECK(send({M::get, "/api/v1/models/none"}).code() == "unknown_model");
  CHECK_MESSAGE(send({M::get, "/api/v1/models/reader/releases?cursor=MXg"}).code() == "bad_cursor", "the number, and nothing behind it");
}

TEST_CASE_FIXTURE(CatalogApi, "an upload tells where to go on") {
  auto const upload = post("/api/v1/uploads", fmt::format(R"({{"sha256":"{}","size":10}})", digest));
  REQUIRE(upload.status == 201);
  auto const id = upload.text("id");
  CHECK(piece(id, "0", content.substr(0, 4)).header("Upload-Offset") == "4");
  auto const wrong = piece(id, "0", content);
  CHECK(wrong.status == 409);
  CHECK(wrong.code() == "wrong_offset");
  CHECK(wrong.header("Upload-Offset") == "4");
  CHECK(wrong.header("Content-Type") == "application/problem+json");
  CHECK(send({M::head, "/api/v1/uploads/" + id, {}, "flt_publisher"}).header("Upload-Offset") == "4");
  for (auto const* const offset : {"", "-1", "4x", "4 ", "99999999999999999999"}) CHECK(piece(id, offset, "x").code() == "bad_offset");
  CHECK(put("/api/v1/uploads/" + id, "", {}, "flt_publisher").code() == "incomplete");
  CHECK(piece(id, "4", content.substr(4)).status == 200);
  CHECK(put("/api/v1/uploads/" + id, "", {}, "flt_publisher").text("state") == "done");
  auto const again = post("/api/v1/uploads", fmt::format(R"({{"sha256":"{}","size":10}})", digest));
  CHECK(again.status == 200);
  CHECK(again.text("state") == "done");
}

TEST_CASE_FIXTURE(CatalogApi, "an upload is its publisher's alone") {
  auto const id = post("/api/v1/uploads", fmt::format(R"({{"sha256":"{}","size":10}})", digest)).text("id");
  CHECK(piece(id, "0", content, "flt_bound").code() == "unknown_upload");
  CHECK(send({M::get, "/api/v1/uploads/" + id, {}, "flt_bound"}).status == 404);
  CHECK(send({M::get, "/api/v1/uploads/" + id, {}, "flt_viewer"}).status == 403);
  CHECK(api->body_limit(M::patch, "/api/v1/uploads/" + id) == 4 * 1024 * 1024);
  CHECK(post("/api/v1/uploads", R"({"sha256":"zz","size":-1,"more":1})").json().at("errors").as_array().size() == 3);
}

TEST_CASE_FIXTURE(CatalogApi, "a release is published, shown, approved, listed and revoked") {
  REQUIRE(put("/api/v1/models/reader", R"({"approvals_required":1})").status == 201);
  auto const releases = std::string("/api/v1/models/reader/releases");
  CHECK(post(releases, body("1")).code() == "unknown_blob");
  add_blob();
  auto const made = post(releases, body("1"));
  CHECK(made.status == 201);
  CHECK(made.header("Location") == releases + "/1");
  CHECK(made.text("state") == "draft");
  CHECK(post(releases, body("1")).status == 200);
  CHECK(post(releases, body("1", R"(,"commit":"x")")).code() == "release_exists");
  CHECK(post(releases, body("2"), "flt_bound").code() == "out_of_scope");
  CHECK(post(releases, body("2"), "flt_viewer").status == 403);
  CHECK(post("/api/v1/models/none/releases", body("1")).code() == "unknown_model");

  auto const shown = send({M::get, releases + "/1"});
  CHECK(send({M::get, releases + "/1", {}, "flt_viewer", {{"If-None-Match", shown.header("ETag")}}}).status == 304);
  CHECK(post(releases + "/1:approve", R"({"reason":"fine"})").status == 403);
  CHECK(post(releases + "/1:approve", "{}", "flt_approver").status == 400);
  CHECK(post(releases + "/1:approve", R"({"reason":"fine"})", "flt_approver").text("state") == "approved");
  CHECK(send({M::get, releases + "?state=approved&created_by=token:publisher"}).json().at("items").as_array().size() == 1);
  CHECK(send({M::get, releases + "?state=draft"}).json().at("items").as_array().empty());
  CHECK(send({M::get, releases + "?state=approvd"}).code() == "bad_parameter");
  CHECK(send({M::get, releases + "/1/lineage"}).text("release") == "reader@1");
  CHECK(send({M::get, releases + "/1/devices"}).json().at("items").as_array().empty());
  CHECK(post(releases + "/1:revoke", R"({"reason":"bad"})", "flt_approver").text("state") == "revoked");
}

TEST_CASE_FIXTURE(CatalogApi, "metadata and release.json are public, under the names of TUF") {
  REQUIRE(put("/api/v1/models/reader", "{}").status == 201);
  add_blob();
  auto const release = post("/api/v1/models/reader/releases", body("1.0+b")).json();
  auto const target = fmt::format("/tuf/targets/models/reader/1.0%2Bb/{}.release.json", release.at("digest").as_string().c_str());
  struct Case {
    std::string target;
    int status;
    std::string cache;
  };
  auto const ever = "public, max-age=31536000, immutable";
  for (auto const& [path, status, cache] :
       {Case{"/tuf/1.root.json", 200, ever}, Case{"/tuf/timestamp.json", 200, "no-cache"}, Case{"/tuf/2.targets.json", 200, ever},
        Case{"/tuf/2.m-reader.json", 200, ever}, Case{"/tuf/2.m%2Dreader.json", 200, ever}, Case{target, 200, ever}, Case{"/tuf/9.root.json", 404, "no-store"},
        Case{"/tuf/targets/models/reader/1.0%2Bb/release.json", 404, "no-store"}, Case{"/tuf/targets/models/reader", 404, "no-store"},
        Case{"/tuf/targets/x" + target.substr(12), 404, "no-store"}, Case{"/tuf/..%2F1.root.json", 404, "no-store"}}) {
    CAPTURE(path);
    auto const answer = send({M::get, path, {}, ""});
    CHECK(answer.status == status);
    CHECK(answer.header("Cache-Control") == cache);
    if (status == 200) CHECK(send({M::get, path, {}, "", {{"If-None-Match", answer.header("ETag")}}}).status == 304);
  }
  CHECK(crypto::sha256(send({M::get, target, {}, ""}).body).hex() == release.at("digest").as_string());
  CHECK(std::get<std::string>(raw(*devices, {M::get, "/device/v1/tuf/timestamp.json", {}, ""}).body).find("no_certificate") != std::string::npos);
  be_device();
  CHECK(raw(*devices, {M::get, "/device/v1/tuf/timestamp.json", {}, ""}).status == 200);
}

TEST_CASE_FIXTURE(CatalogApi, "a blob is sent whole, in one range, or not at all") {
  add_release();
  auto const etag = "\"" + digest + "\"";
  struct Case {
    std::string what;
    net::Headers headers;
    int status;
    std::uint64_t offset, length;
    std::string range;
  };
  for (auto const& [what, headers, status, offset, length, range] : std::vector<Case>{
           {"whole", {}, 200, 0, 10, ""},
           {"a range", {{"Range", "bytes=2-4"}}, 206, 2, 3, "bytes 2-4/10"},
           {"to the end", {{"Range", "bytes=7-"}}, 206, 7, 3, "bytes 7-9/10"},
           {"beyond the end", {{"Range", "bytes=7-99"}}, 206, 7, 3, "bytes 7-9/10"},
           {"the last", {{"Range", "bytes=-4"}}, 206, 6, 4, "bytes 6-9/10"},
           {"more than all", {{"Range", "bytes=-99"}}, 206, 0, 10, "bytes 0-9/10"},
           {"from the end", {{"Range", "bytes=10-"}}, 416, 0, 0, "bytes */10"},
           {"the last none", {{"Range", "bytes=-0"}}, 416, 0, 0, "bytes */10"},
           {"several", {{"Range", "bytes=0-1,3-4"}}, 200, 0, 10, ""},
           {"backwards", {{"Range", "bytes=4-2"}}, 200, 0, 10, ""},
           {"another unit", {{"Range", "lines=1-2"}}, 200, 0, 10, ""},
           {"nonsense", {{"Range", "bytes=a-b"}}, 200, 0, 10, ""},
           {"a number too big", {{"Range", "bytes=99999999999999999999-"}}, 200, 0, 10, ""},
           {"of this content", {{"Range", "bytes=2-4"}, {"If-Range", etag}}, 206, 2, 3, "bytes 2-4/10"},
           {"of another content", {{"Range", "bytes=2-4"}, {"If-Range", "\"other\""}}, 200, 0, 10, ""},
           {"known already", {{"If-None-Match", "\"x\", " + etag}}, 304, 0, 0, ""},
       }) {
    CAPTURE(what);
    auto const response = raw(*api, {M::get, "/blobs/sha256/" + digest, {}, "flt_viewer", headers});
    CHECK(response.status == status);
    CHECK(net::find_header(response.headers, "Content-Range") == range);
    CHECK(net::find_header(response.headers, "ETag") == etag);
    CHECK(net::find_header(response.headers, "Cache-Control").find("immutable") != std::string::npos);
    auto const* const file = std::get_if<net::FileBody>(&response.body);
    CHECK((file != nullptr) == (length > 0));
    if (file == nullptr) continue;
    CHECK(file->offset == offset);
    CHECK(file->length == length);
  }
  auto const with = [&](M method, net::Headers const& headers) { return raw(*api, {method, "/blobs/sha256/" + digest, {}, "flt_viewer", headers}); };
  CHECK(with(M::head, {{"Range", "bytes=2-4"}}).status == 200);  // a range is of GET alone
  CHECK(with(M::get, {{"If-Match", etag}}).status == 200);
  CHECK(with(M::get, {{"If-Match", "\"other\""}}).status == 412);
  CHECK(with(M::get, {{"If-Match", "\"other\""}, {"If-None-Match", etag}}).status == 412);
}

TEST_CASE_FIXTURE(CatalogApi, "blobs are for viewers, and for devices that were told of a release with them for their hardware") {
  add_release();
  auto const path = "/blobs/sha256/" + digest;
  CHECK(send({M::get, path, {}, ""}).status == 401);
  CHECK(send({M::get, path, {}, "flt_viewer"}).status == 200);
  CHECK(send({M::get, "/blobs/sha256/" + std::string(64, '0'), {}, "flt_viewer"}).code() == "unknown_blob");
  CHECK(send({M::get, "/blobs/sha256/..%2F..%2Ffleet.db", {}, "flt_viewer"}).status == 400);
  CHECK(raw(*devices, {M::get, path, {}, "flt_viewer"}).status == 401);
  be_device();
  auto const read = [&] { return raw(*devices, {M::head, path, {}, ""}).status; };
  CHECK_MESSAGE(read() == 404, "no directive named it");
  sql({"test.named", "INSERT INTO named_releases (device, release) SELECT d.n, r.n FROM devices d, releases r"});
  CHECK(read() == 200);
  sql({"test.hardware", "UPDATE devices SET hardware = 'cam-b'"});
  CHECK_MESSAGE(read() == 404, "it is for other hardware");
  for (auto const& [models, status] : {std::pair{"[]", 200}, std::pair{R"(["reader"])", 200}, std::pair{R"(["other","reader"])", 200}, std::pair{R"(["other"])", 404}}) {
    CAPTURE(models);
    sql({"test.cache", "UPDATE devices SET cache = ?1"}, std::string(models));
    CHECK_MESSAGE(read() == status, "a cache reads what its models have");
  }
}

TEST_CASE_FIXTURE(CatalogApi, "where what may leave is bound, devices beyond are told when to come again, and people are not") {
  add_release();
  auto const path = "/blobs/sha256/" + digest;
  be_device();
  sql({"test.named", "INSERT INTO named_releases (device, release) SELECT d.n, r.n FROM devices d, releases r"});
  blobs::Turns turns(1'000'000);
  services.turns = &turns;
  std::vector<blobs::Turns::Held> others;
  for (int i = 0; i < 8; ++i) others.push_back(std::get<blobs::Turns::Held>(turns.take(1000 + i, 10'000'000, false, services.clock.mono())));
  auto const later = raw(*devices, {M::get, path, {}, ""});
  CHECK(later.status == 503);
  CHECK(net::find_header(later.headers, "Retry-After") == "1");
  CHECK(net::find_header(later.headers, "Cache-Control") == "no-store");
  CHECK(std::get<std::string>(later.body).find("\"busy\"") != std::string::npos);
  CHECK(raw(*devices, {M::head, path, {}, ""}).status == 200);
  CHECK(raw(*devices, {M::get, path, {}, "", {{"If-None-Match", "\"" + digest + "\""}}}).status == 304);
  CHECK(raw(*api, {M::get, path, {}, "flt_viewer"}).status == 200);
  others.clear();
  clock.advance(blobs::Turns::kKept + Millis{1'000});
  auto const now = raw(*devices, {M::get, path, {}, ""});
  CHECK(now.status == 200);
  CHECK(std::get<net::FileBody>(now.body).held != nullptr);
  services.turns = nullptr;
}
