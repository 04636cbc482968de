#include "agent/unpack/entries.hpp"
#include "agent/unpack/names.hpp"
#include "tests/unit/agent/unpack/written_entries.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::agent;

namespace {

Result<void> append(void* to, std::string_view bytes) {
  static_cast<std::string*>(to)->append(bytes);
  return {};
}

std::string sample_stream() {
  std::string out;
  EntryEncoder encoder(append, &out);
  REQUIRE(encoder.folder("lib").has_value());
  REQUIRE(encoder.file("lib/run", true).has_value());
  REQUIRE(encoder.data(as_bytes(std::string_view("#!"))).has_value());
  REQUIRE(encoder.data(as_bytes(std::string_view("/bin/sh"))).has_value());
  REQUIRE(encoder.file("model", false).has_value());
  REQUIRE(encoder.link("latest", "model").has_value());
  REQUIRE(encoder.end().has_value());
  return out;
}

}  // namespace

TEST_CASE("what is written is read back, in whatever pieces it comes") {
  auto const stream = sample_stream();
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    CAPTURE(size);
    WrittenEntries told;
    EntryDecoder decoder(told);
    for (std::size_t at = 0; at < stream.size(); at += size) REQUIRE(decoder.feed(as_bytes(std::string_view(stream).substr(at, size))).has_value());
    CHECK(decoder.is_complete());
    CHECK(told.text == "folder lib; program lib/run=#!/bin/sh; file model=; link latest>model; end; ");
  }
}

TEST_CASE("a long file goes in several records") {
  std::string stream;
  EntryEncoder encoder(append, &stream);
  std::string const content(3 * kPieceBytesMax + 7, 'x');
  REQUIRE(encoder.file("model", false).has_value());
  REQUIRE(encoder.data(as_bytes(content)).has_value());
  REQUIRE(encoder.end().has_value());
  WrittenEntries told;
  EntryDecoder decoder(told);
  REQUIRE(decoder.feed(as_bytes(stream)).has_value());
  CHECK(told.text == "file model=" + content + "; end; ");
}

TEST_CASE("a stream that is none is refused, and one that ends early is not complete") {
  for (auto const& stream : {record_of('B', "bytes of nothing"), record_of('D', "lib") + record_of('B', "bytes of a folder"), record_of('Q', ""), record_of('L', "\x09"),
                             record_of('L', std::string("\x05\x00name", 6)), record_of('E', "more"), record_of('E', "") + "x", std::string("F\xff\xff\xff\xff", 5),
                             std::string("F\x01\x00\x01\x00", 5)}) {
    CAPTURE(stream);
    WrittenEntries told;
    EntryDecoder decoder(told);
    auto const fed = decoder.feed(as_bytes(stream));
    REQUIRE_FALSE(fed.has_value());
    CHECK(fed.error().code == "bad_entries");
  }
  auto const stream = sample_stream();
  for (std::size_t size = 0; size < stream.size(); ++size) {
    WrittenEntries told;
    EntryDecoder decoder(told);
    REQUIRE(decoder.feed(as_bytes(std::string_view(stream).substr(0, size))).has_value());
    CHECK_FALSE(decoder.is_complete());
  }
}

TEST_CASE("names of entries are names of files, not too deep") {
  std::string deep;
  for (std::size_t i = 0; i < kEntryDepthMax; ++i) deep += "d/";
  CHECK(check_entry_name(deep + "f").has_value());
  CHECK_FALSE(check_entry_name(deep + "d/f").has_value());
  for (auto const* const name : {"", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/", "a\\b", "a\nb"}) {
    CAPTURE(name);
    CHECK_FALSE(check_entry_name(name).has_value());
  }
}
