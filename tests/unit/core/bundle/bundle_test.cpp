#include "core/bundle/bundle.hpp"

#include "core/bundle/tar.hpp"
#include "core/crypto/hash.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace fleet;
using namespace fleet::bundle;

namespace {

struct Entry {
  std::string name, content;
};

std::string archive(std::vector<Entry> const& entries) {
  std::string out;
  for (auto const& [name, content] : entries) out += *tar_file(name, content);
  return out + std::string(kTarEndBytes, '\0');
}

Result<std::shared_ptr<Bundle const>> open(agent::CrashFs& fs, std::string content) {
  fs.put("/stick/bundle", std::move(content));
  return Bundle::open(*fs.open("/stick/bundle", Fs::Mode::read));
}

std::string code_of(std::string content) {
  agent::CrashFs fs;
  auto const opened = open(fs, std::move(content));
  return opened ? "" : opened.error().code;
}

std::string const kObject = "the bytes of an object";
std::vector<Entry> whole() {
  return {{"bundle.json", "{}"},
          {"directive/1.root.json", "root"},
          {directive_name("cam-1"), "for cam-1"},
          {directive_name("cam-2"), "for cam-2"},
          {"tuf/timestamp.json", "timestamp"},
          {blob_name(crypto::sha256(kObject)), kObject}};
}

}  // namespace

TEST_CASE("what was written is found, by name and by digest") {
  agent::CrashFs fs;
  fs.put("/stick/other", "");
  auto writer = BundleWriter::create(fs, "/stick/bundle");
  REQUIRE(writer.has_value());
  for (auto const& [name, content] : whole()) REQUIRE(writer->put(name, content).has_value());
  CHECK_FALSE(fs.text("/stick/bundle").has_value());  // nothing is there before it is whole
  auto const bytes = writer->finish();
  REQUIRE(bytes.has_value());
  CHECK(*bytes == fs.text("/stick/bundle")->size());
  CHECK(*fs.text("/stick/bundle") == archive(whole()));

  auto const opened = Bundle::open(*fs.open("/stick/bundle", Fs::Mode::read));
  REQUIRE(opened.has_value());
  auto const& bundle = **opened;
  CHECK(*bundle.read("tuf/timestamp.json", 100) == "timestamp");
  CHECK(*bundle.read(directive_name("cam-2"), 100) == "for cam-2");
  CHECK(bundle.read(directive_name("cam-3"), 100).error().kind == Kind::not_found);
  CHECK(bundle.read("tuf/timestamp.json", 3).error().kind == Kind::too_large);
  auto const place = bundle.find_blob(crypto::sha256(kObject));
  REQUIRE(place.has_value());
  Bytes read(static_cast<std::size_t>(place->size));
  REQUIRE(bundle.read_at(place->offset, read).has_value());
  CHECK(as_text(read) == kObject);
  CHECK_FALSE(bundle.find_blob(crypto::sha256("another")).has_value());
  BundleFetcher fetcher(bundle, kMetadata);
  CHECK(as_text(*fetcher.fetch("timestamp.json", 100)) == "timestamp");
  CHECK(fetcher.fetch("2.root.json", 100).error().kind == Kind::not_found);
}

TEST_CASE("a file that is written in pieces has as many bytes as were announced, or is none") {
  agent::CrashFs fs;
  fs.put("/stick/other", "");
  auto writer = BundleWriter::create(fs, "/stick/bundle");
  REQUIRE(writer.has_value());
  REQUIRE(writer->begin("bundle.json", 4).has_value());
  REQUIRE(writer->append(as_bytes(std::string_view("{"))).has_value());
  CHECK(writer->end().error().code == "wrong_size");
}

TEST_CASE("wherever a bundle is cut, it is none, or says so when it is read") {
  auto const content = archive(whole());
  for (std::size_t size = 0; size < content.size() - kTarBlock; size += 97) {
    CAPTURE(size);
    auto const code = code_of(content.substr(0, size));
    CHECK((code == "bundle_cut" || code == "bad_bundle"));
  }
  CHECK(code_of(content).empty());
}

TEST_CASE("names and orders that no bundle has are refused") {
  auto const with = [](std::size_t at, Entry const& entry) {
    auto entries = whole();
    entries.insert(entries.begin() + static_cast<std::ptrdiff_t>(at), entry);
    return archive(entries);
  };
  CHECK(code_of(archive({})) == "bad_bundle");
  CHECK(code_of(with(0, {"tuf/1.root.json", "x"})) == "bad_bundle");         // it begins with what it says of itself
  CHECK(code_of(with(1, {"bundle.json", "{}"})) == "bad_bundle");            // twice
  CHECK(code_of(with(2, {directive_name("cam-1"), "x"})) == "bad_bundle");   // twice
  CHECK(code_of(with(6, {blob_name(crypto::sha256(kObject)), kObject})) == "bad_bundle");
  CHECK(code_of(with(6, {"tuf/2.root.json", "x"})) == "bad_bundle");         // behind the objects
  CHECK(code_of(with(2, {"directives/cam-1.json", "x"})) == "bad_bundle");
  CHECK(code_of(with(2, {"blobs/sha256/abc", "x"})) == "bad_bundle");
  CHECK(code_of(with(2, {"etc/passwd", "x"})) == "bad_bundle");
  CHECK(code_of("not a tar" + std::string(kTarBlock, 'x')) == "bad_tar");
}

TEST_CASE("more files than a bundle may have are refused") {
  std::vector<Entry> entries{{"bundle.json", "{}"}};
  for (std::size_t i = 0; i < kMetadataFilesMax; ++i) entries.push_back({"tuf/" + std::to_string(i) + ".json", ""});
  CHECK(code_of(archive(entries)) == "bad_bundle");
  entries.pop_back();
  CHECK(code_of(archive(entries)).empty());
}
