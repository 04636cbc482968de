#include "agent/delivery/sealed_slot.hpp"

#include "agent/delivery/copy_file.hpp"
#include "agent/delivery/throttle.hpp"
#include "core/content/sealed_source.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace fleet::agent {
namespace {

std::string path_of(Slots const& slots, SealedSlot const& sealed, wire::ReleaseFile const& file) { return slots.sealed(sealed.model, sealed.name) + "/" + file.sha256.hex(); }

Result<void> seal_file(Fs& fs, std::string const& from, std::string const& to, crypto::DataKey const& key, std::atomic<bool> const& stop) {
  auto const partial = to + ".partial";
  FLEET_CHECK(fs.remove_tree(partial));
  FLEET_TRY(auto const source, content::FileSource::open(fs, from));
  FLEET_TRY(auto const target, fs.open(partial, Fs::Mode::create_new, 0600));
  Bytes piece;
  std::uint64_t written = 0;
  for (std::uint64_t at = 0; at < source->size(); at += piece.size()) {
    if (stop) return interrupted();
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(content::kSealedPieceBytes, source->size() - at)));
    FLEET_CHECK(source->read(at, piece));
    auto const bytes = content::seal_pieces(key, piece);
    FLEET_CHECK(target->write_at(written, bytes));
    written += bytes.size();
  }
  FLEET_CHECK(target->sync_all());
  return fs.rename(partial, to);
}

}  // namespace

Result<void> seal_slot(Fs& fs, Slots const& slots, SealedSlot const& sealed, std::atomic<bool> const& stop) {
  auto const slot = slots.slot(sealed.model, sealed.name);
  for (auto const& file : sealed.variant.files) {
    auto const to = path_of(slots, sealed, file);
    if (fs.info(to)) continue;
    FLEET_CHECK(seal_file(fs, slot + "/" + file.name, to, sealed.key, stop));
  }
  return fs.sync_dir(slots.sealed(sealed.model, sealed.name));
}

Result<bool> unseal_slot(Fs& fs, Slots& slots, SealedSlot const& sealed, std::atomic<bool> const& stop) {
  auto const& files = sealed.variant.files;
  if (!std::all_of(files.begin(), files.end(), [&](auto const& file) { return fs.info(path_of(slots, sealed, file)).has_value(); })) return false;
  FLEET_CHECK(slots.prepare_staging(sealed.model, sealed.name, sealed.variant));
  auto const staging = slots.staging(sealed.model, sealed.name);
  for (auto const& file : files) {
    FLEET_TRY(auto const kept, content::FileSource::open(fs, path_of(slots, sealed, file)));
    content::SealedSource source(*kept, sealed.key);
    auto const read = [&](std::uint64_t offset, std::span<std::uint8_t> out) -> Result<std::size_t> {
      auto const n = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), source.size() - std::min(offset, source.size())));
      auto const got = source.read(offset, out.first(n));
      if (!got && got.error().code == "not_opened") return std::size_t{0};  // spoiled: its digest will say so
      return got ? Result<std::size_t>(n) : got.error();
    };
    if (auto const slash = file.name.find_last_of('/'); slash != std::string::npos) FLEET_CHECK(fs.make_dirs(staging + "/" + file.name.substr(0, slash)));
    FLEET_TRY(bool const copied, copy_verified(fs, read, file, staging + "/" + file.name, stop));
    if (copied) continue;
    FLEET_CHECK(fs.remove(path_of(slots, sealed, file)));  // it is fetched again
    return false;
  }
  FLEET_CHECK(slots.install(sealed.model, sealed.name, sealed.variant, &stop));
  return true;
}

Result<void> check_memory_dir(std::string const& path) {
  struct statfs about {};
  if (::statfs(path.c_str(), &about) != 0) return Error{Kind::io, "io_failed", fmt::format("{}: {}", path, std::generic_category().message(errno))};
  if (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC) return {};
  return Error{Kind::unprocessable, "no_memory_dir", fmt::format("{} lies on a disk, and not in memory", path), "memory: {dir: /run/fleet} in agent.yaml: a folder of a tmpfs"};
}

}  // namespace fleet::agent
