#include "core/bundle/tar.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <vector>

using namespace fleet;
using namespace fleet::bundle;

namespace {

std::string header(std::string_view name, std::uint64_t size = 3) { return *tar_header(name, size); }

/// A header with some of its bytes replaced, and its checksum made to fit again.
std::string changed(std::string_view name, std::size_t at, std::string_view bytes) {
  auto out = header(name);
  out.replace(at, bytes.size(), bytes);
  unsigned sum = 0;
  for (std::size_t i = 0; i < out.size(); ++i) sum += i >= 148 && i < 156 ? unsigned{' '} : static_cast<unsigned char>(out[i]);
  out.replace(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return out;
}

std::string code_of(std::string const& block) {
  auto const read = read_tar_header(as_bytes(block));
  return read ? "" : read.error().code;
}

}  // namespace

TEST_CASE("a header says the name and the size that it was made of") {
  auto const longest = std::string(64, 'v') + "/" + std::string(64, 'd') + ".release.json";
  for (auto const& name : {std::string("bundle.json"), std::string(100, 'a'), "tuf/targets/models/" + std::string(64, 'm') + "/" + longest})
    for (auto const size : {std::uint64_t{0}, std::uint64_t{511}, (std::uint64_t{1} << 33) - 1, std::uint64_t{1} << 33, std::uint64_t{1} << 62}) {
      CAPTURE(name);
      CAPTURE(size);
      auto const made = tar_header(name, size);
      REQUIRE(made.has_value());
      CHECK(made->size() == kTarBlock);
      auto const read = read_tar_header(as_bytes(*made));
      REQUIRE(read.has_value());
      REQUIRE(read->has_value());
      CHECK((*read)->name == name);
      CHECK((*read)->size == size);
    }
}

TEST_CASE("names that no header holds, or that lead elsewhere, are refused when written") {
  for (auto const& name : {std::string(101, 'a'), std::string(156, 'p') + "/x", std::string("/etc/passwd"), std::string("a/../b"), std::string("a//b"), std::string("a b"),
                           std::string("\xc3\xa4"), std::string()}) {
    CAPTURE(name);
    CHECK(tar_header(name, 0).error().code == "bad_name");
  }
}

TEST_CASE("headers of anything but a plain file under a plain name are refused when read") {
  CHECK(code_of(header("a")).empty());
  CHECK(code_of(std::string(kTarBlock - 1, 'a')) == "bad_tar");
  CHECK(code_of(changed("a", 156, "2")) == "bad_tar");                       // a link
  CHECK(code_of(changed("a", 156, "5")) == "bad_tar");                       // a folder
  CHECK(code_of(changed("a", 156, "L")) == "bad_tar");                       // a long name of GNU's
  CHECK(code_of(changed("a", 157, "target")) == "bad_tar");
  CHECK(code_of(changed("a", 0, "../b")) == "bad_tar");
  CHECK(code_of(changed("a", 0, std::string("a\0b", 3))) == "bad_tar");
  CHECK(code_of(changed("a", 345, "/etc")) == "bad_tar");
  CHECK(code_of(changed("a", 124, "0000000000x")) == "bad_tar");
  CHECK(code_of(changed("a", 124, "\x80\x01")) == "bad_tar");                // 2^80 bytes
  CHECK(code_of(changed("a", 124, "\xff")) == "bad_tar");                    // a negative size
  CHECK(code_of(changed("a", 257, "pax")) == "bad_tar");
  auto flipped = header("a");
  flipped[0] = 'b';
  CHECK(code_of(flipped) == "bad_tar");
}

TEST_CASE("a block of zeros is the end") {
  auto const read = read_tar_header(as_bytes(std::string(kTarBlock, '\0')));
  REQUIRE(read.has_value());
  CHECK_FALSE(read->has_value());
}

TEST_CASE("a small file is its header, its bytes and what fills the block") {
  CHECK(tar_file("a", "")->size() == kTarBlock);
  CHECK(tar_file("a", "x")->size() == 2 * kTarBlock);
  CHECK(tar_file("a", std::string(kTarBlock, 'x'))->size() == 2 * kTarBlock);
  CHECK(tar_file("a", std::string(kTarBlock + 1, 'x'))->size() == 3 * kTarBlock);
}
