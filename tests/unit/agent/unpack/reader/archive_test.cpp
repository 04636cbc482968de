#include "agent/unpack/reader/archive.hpp"
#include "tests/unit/agent/unpack/tar_of.hpp"
#include "tests/unit/agent/unpack/written_entries.hpp"

#include <doctest/doctest.h>

#include <clocale>

using namespace fleet;
using namespace fleet::agent;

namespace {

Result<std::string> read(std::string const& bytes, ArchiveFormat format = ArchiveFormat::tar, ArchiveLimits const& limits = {100, 4096}) {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  WrittenEntries told;
  FLEET_CHECK(read_archive(as_bytes(bytes), format, limits, told));
  return told.text;
}

std::string refusal(std::string const& bytes, ArchiveFormat format = ArchiveFormat::tar, ArchiveLimits const& limits = {100, 4096}) {
  auto const got = read(bytes, format, limits);
  if (got) return "taken: " + *got;
  CHECK(got.error().code == "bad_archive");
  return got.error().detail;
}

/// `printf hi >a; zip -X x.zip a`, by hand: one stored file. @param flag  1: encrypted
std::string zip_of(std::string const& name, std::string const& content, unsigned mode = 0100644, unsigned flag = 0) {
  auto const number = [](std::uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
    return out;
  };
  std::uint32_t crc = ~0U;
  for (char const c : content) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = crc >> 1U ^ (0xEDB88320U & (0U - (crc & 1U)));
  }
  crc = ~crc;
  auto const common = number(20, 2) + number(flag, 2) + number(0, 2) + number(0, 4) + number(crc, 4) + number(content.size(), 4) + number(content.size(), 4) + number(name.size(), 2) + number(0, 2);
  auto const local = "PK\3\4" + common + name + content;
  auto const central = "PK\1\2" + number(3U << 8U | 20U, 2) + common + number(0, 2) + number(0, 2) + number(0, 2) + number(std::uint64_t{mode} << 16U, 4) + number(0, 4) + name;
  return local + central + "PK\5\6" + number(0, 4) + number(1, 2) + number(1, 2) + number(central.size(), 4) + number(local.size(), 4) + number(0, 2);
}

bool has(std::string const& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("files, folders and links of a tar are told as they are, with the executable bit alone") {
  auto const tar = tar_of({{"./", {}, '5', 0755}, {"./lib/", {}, '5', 0755}, {"./lib/run", "#!/bin/sh\n", '0', 0755}, {"model", "weights"}, {"latest", {}, '2', 0777, "model"}, {"gr\xC3\xBC\xC3\x9F", "hello"}});
  CHECK(read(tar).value() == "folder lib; program lib/run=#!/bin/sh\n; file model=weights; link latest>model; file gr\xC3\xBC\xC3\x9F=hello; end; ");
}

TEST_CASE("a long name of a pax header is the name") {
  std::string const name = std::string(60, 'd') + "/" + std::string(90, 'f');
  CHECK(read(tar_of({{"pax", pax("path", name), 'x'}, {"short", "x"}})).value() == "file " + name + "=x; end; ");
}

TEST_CASE("what no release's file may be is refused by its name") {
  struct Case {
    TarEntry entry;
    std::string why;
  };
  for (auto const& wanted : std::to_array<Case>({
           {{"../evil", "x"}, "without empty, . or .. parts"},
           {{"a/../../evil", "x"}, "without empty, . or .. parts"},
           {{"/etc/passwd", "x"}, "without empty"},
           {{"a//b", "x"}, "without empty"},
           {{"./../x", "x"}, "without empty"},
           {{"a\nb", "x"}, "control"},
           {{"a\\b", "x"}, "backslash"},
           {{"\xff\xfe", "x"}, "UTF-8"},
           {{"hard", {}, '1', 0644, "model"}, "'hard' is a hard link"},
           {{"hard", {}, '1', 0644, "/etc/passwd"}, "'hard' is a hard link"},
           {{"tty", {}, '3'}, "'tty' is neither file, folder nor link"},
           {{"sda", {}, '4'}, "'sda' is neither file, folder nor link"},
           {{"pipe", {}, '6'}, "'pipe' is neither file, folder nor link"},
           {{"su", "x", '0', 04755}, "'su' is setuid or setgid"},
           {{"sg", "x", '0', 02755}, "'sg' is setuid or setgid"},
           {{"nowhere", {}, '2', 0777, ""}, "link 'nowhere' leads nowhere"},
       })) {
    CAPTURE(wanted.entry.name);
    auto const why = refusal(tar_of({{"model", "weights"}, wanted.entry}));
    CAPTURE(why);
    CHECK(has(why, wanted.why));
  }
  CHECK(has(refusal(tar_of({{"pax", pax("SCHILY.xattr.security.capability", "x"), 'x'}, {"net", "x", '0', 0755}})), "'net' is a file with capabilities"));
  CHECK(has(refusal(tar_of({{"pax", pax("path", "../../evil"), 'x'}, {"fine", "x"}})), "without empty"));
  std::string deep;
  for (int i = 0; i < 33; ++i) deep += "d/";
  CHECK(has(refusal(tar_of({{deep + "f", "x"}})), "33 folders deep"));
}

TEST_CASE("limits end a bomb before it is out") {
  std::vector<TarEntry> many(101, TarEntry{"f", "x"});
  for (std::size_t i = 0; i < many.size(); ++i) many[i].name += std::to_string(i);
  CHECK(has(refusal(tar_of(many)), "more than 100 entries"));
  CHECK(has(refusal(tar_of({{"big", std::string(4097, 'x')}})), "more than 4096 bytes"));
  CHECK(has(refusal(tar_of({{"a", std::string(4000, 'x')}, {"b", std::string(97, 'x')}})), "more than 4096 bytes"));
  CHECK(read(tar_of({{"a", std::string(4000, 'x')}, {"b", std::string(96, 'x')}})).has_value());
  // A hole of 8 EiB in 512 bytes of archive.
  auto const sparse = pax("GNU.sparse.major", "1") + pax("GNU.sparse.minor", "0") + pax("GNU.sparse.name", "hole") + pax("GNU.sparse.realsize", "9223372036854775807");
  CHECK(has(refusal(tar_of({{"pax", sparse, 'x'}, {"hole", "1\n9223372036854775000\n1\n" + std::string(512 - 24, '\0') + "x"}})), "bytes"));
}

TEST_CASE("a format is what the name says, once, and whole") {
  CHECK_FALSE(read("").has_value());
  CHECK_FALSE(read(std::string(1024, '\0')).has_value());
  CHECK_FALSE(read("#!/bin/sh\nexit 0\n").has_value());
  CHECK_FALSE(read(zip_of("a", "hi")).has_value());
  CHECK_FALSE(read(tar_of({{"a", "hi"}}), ArchiveFormat::zip).has_value());
  CHECK_FALSE(read("\x1f\x8b\x08").has_value());
  auto const whole = tar_of({{"a", std::string(1500, 'x')}}, false);
  for (std::size_t size = 1; size < whole.size(); size += 100) {
    CAPTURE(size);
    if (size < 512 + 1500) CHECK_FALSE(read(whole.substr(0, size)).has_value());
  }
}

TEST_CASE("a zip is read by its central directory") {
  CHECK(read(zip_of("a", "hi"), ArchiveFormat::zip).value() == "file a=hi; end; ");
  CHECK(read(zip_of("bin/run", "hi", 0100755), ArchiveFormat::zip).value() == "program bin/run=hi; end; ");
  CHECK(read(zip_of("l", "a", 0120777), ArchiveFormat::zip).value() == "link l>a; end; ");
  CHECK(has(refusal(zip_of("../a", "hi"), ArchiveFormat::zip), "without empty"));
  CHECK(has(refusal(zip_of("su", "hi", 0104755), ArchiveFormat::zip), "setuid"));
  CHECK(has(refusal(zip_of("dev", "", 0020644), ArchiveFormat::zip), "neither file"));
  CHECK(has(refusal(zip_of("secret", "hi", 0100644, 1), ArchiveFormat::zip), "encrypted"));
}
