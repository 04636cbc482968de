// What a publisher packs, through libarchive and the agent's own limits; and what the reader of archives tells, as somebody who took it over would. The first byte chooses.
#include "agent/handlers/tree_writer.hpp"
#include "agent/slots/slots.hpp"
#include "agent/unpack/reader/archive.hpp"
#include "tests/unit/agent/crash_fs.hpp"

#include <cstdlib>

using namespace fleet;
using namespace fleet::agent;

namespace {

constexpr ArchiveLimits kLimits{64, 65'536};
std::string const kDigest(64, 'a');

/// Holds the reader to what it promises.
struct Judge final : EntrySink {
  Result<void> entry(std::string_view name) {
    if (++entries > kLimits.entries || !check_entry_name(name)) std::abort();
    return {};
  }
  Result<void> file(std::string_view name, bool) override { return entry(name); }
  Result<void> folder(std::string_view name) override { return entry(name); }
  Result<void> link(std::string_view name, std::string_view target) override {
    if (target.empty()) std::abort();
    return entry(name);
  }
  Result<void> data(BytesView piece) override {
    bytes += piece.size();
    if (bytes > kLimits.bytes) std::abort();
    return {};
  }
  Result<void> end() override { return {}; }
  std::uint64_t entries = 0, bytes = 0;
};

void read(BytesView bytes, ArchiveFormat format) {
  Judge judge;
  static_cast<void>(read_archive(bytes, format, kLimits, judge));
}

/// Whatever it tells, nothing lies outside of the folder, and what was taken is a slot that reads back.
void write(BytesView stream) {
  CrashFs fs;
  Slots slots(fs, Layout{"/agent"});
  auto const dir = slots.staging("m", kDigest);
  fs.put(dir + "/app.tar", "tar");
  wire::Variant const whole{{"a"}, {{"app.tar", 3, crypto::sha256("tar"), false}}, {}, {}};
  std::atomic<bool> const go_on{false};
  TreeWriter writer(fs, dir, whole, go_on);
  writer.begin("app.tar", kLimits);
  EntryDecoder decoder(writer);
  if (decoder.feed(stream) && decoder.is_complete()) {
    auto const tree = writer.finish();
    if (tree && slots.save_tree("m", kDigest, *tree)) {
      if (!slots.load_tree("m", kDigest)) std::abort();
      if (!fs.remove(dir + "/app.tar") || !slots.install("m", kDigest, *tree) || !*slots.is_whole("m", kDigest, *tree)) std::abort();
    }
  }
  if (fs.list("/")->size() != 1 || fs.list("/agent")->size() != 1 || fs.list("/agent/models")->size() != 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  BytesView const bytes{data + 1, size - 1};
  if (data[0] == 'e') write(bytes);
  else read(bytes, static_cast<ArchiveFormat>(data[0] % 4));
  return 0;
}
