#include "agent/handlers/unpack.hpp"

#include "agent/handlers/tree_writer.hpp"
#include "core/base/log.hpp"
#include "core/proof/process.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

constexpr int kRefused = 3;  ///< as fleet-unpack ends
constexpr std::uint64_t kFreeBytes = 16ULL << 20U;  ///< what may come out of an archive however small it is

ArchiveLimits limits_of(wire::ReleaseFile const& archive, UnpackRule const& rule) {
  ArchiveLimits out;
  out.bytes = std::min(rule.max_bytes, archive.size * rule.ratio + kFreeBytes);
  return out;
}

Result<void> check_digest(Bench const& bench, std::string const& path, wire::ReleaseFile const& archive) {
  FLEET_TRY(auto const found, crypto::sha256_file(bench.fs, path, &bench.stop.flag()));
  if (found.sha256 == archive.sha256 && found.size == archive.size) return {};
  return Error{Kind::unprocessable, "digest_mismatch", fmt::format("{}: has digest {}, expected {}", path, found.sha256.hex(), archive.sha256.hex())};
}

Result<void> unpack_one(Bench const& bench, std::string const& path, wire::ReleaseFile const& archive, TreeWriter& writer) {
  FLEET_CHECK(check_digest(bench, path, archive));
  auto const limits = limits_of(archive, bench.config.unpack);
  writer.begin(archive.name, limits);
  EntryDecoder decoder(writer);
  Result<void> taken;
  proof::Command command;
  command.program = unpack_program(bench.fs);
  command.by_descriptor = true;
  command.arguments = {std::string(to_string(*archive_format(archive.name))), std::to_string(limits.entries), std::to_string(limits.bytes)};
  command.directory = "/";
  command.timeout = wire::kProgramTimeMax;
  command.exec = bench.config.exec;
  command.input = path;
  command.answers = [&](BytesView piece) {
    taken = decoder.feed(piece);
    return taken.has_value();
  };
  auto const ran = bench.run(command, bench.waits, bench.stop);
  if (!taken) return taken;
  if (!ran) return ran.error();
  if (ran->exit_code == kRefused) return bad_archive(fmt::format("{}: {}", archive.name, ran->output.substr(0, ran->output.find('\n'))));
  if (!ran->ok() || !decoder.is_complete())
    return Error{Kind::unavailable, "unpack_failed", fmt::format("{}: its reader {}: {}", archive.name, ran->text, ran->output)};
  return {};
}

Result<void> remove_archives(Fs& fs, std::string const& dir, wire::Variant const& variant) {
  for (auto const& file : variant.files) {
    if (!archive_format(file.name)) continue;
    auto const removed = fs.remove(dir + "/" + file.name);
    if (!removed && removed.error().kind != Kind::not_found) return removed;
  }
  return {};
}

}  // namespace

std::string unpack_program(Fs& fs) {
  constexpr std::string_view kName = "fleet-unpack";
  auto const self = fs.read_link("/proc/self/exe");
  auto const folder = self ? self->substr(0, self->rfind('/')) : std::string();
  auto const beside = fmt::format("{}/{}", folder, kName), apart = fmt::format("{}/libexec/fleet/{}", folder.substr(0, folder.rfind('/')), kName);
  return !fs.info(beside) && fs.info(apart) ? apart : beside;
}

Result<void> unpack(Bench const& bench, Slots& slots, Packed const& packed) {
  auto const dir = slots.staging(packed.model, packed.digest);
  TreeWriter writer(bench.fs, dir, packed.variant, bench.stop.flag());
  for (auto const& file : packed.variant.files)
    if (archive_format(file.name)) FLEET_CHECK(unpack_one(bench, dir + "/" + file.name, file, writer));
  FLEET_TRY(auto const tree, writer.finish());
  log::info("update.unpacked", {{"model", packed.model}, {"files", tree.files.size()}, {"links", tree.links.size()}});
  return install_tree(bench.fs, slots, packed, tree, &bench.stop.flag());
}

Result<void> install_tree(Fs& fs, Slots& slots, Packed const& packed, wire::Variant const& tree, Slots::Stop stop) {
  FLEET_CHECK(slots.save_tree(packed.model, packed.digest, tree));
  FLEET_CHECK(remove_archives(fs, slots.staging(packed.model, packed.digest), packed.variant));
  return slots.install(packed.model, packed.digest, tree, stop);
}

Result<bool> finish_unpacked(Fs& fs, Slots& slots, Packed const& packed, Slots::Stop stop) {
  auto const tree = slots.load_tree(packed.model, packed.digest);
  if (!tree && tree.error().kind == Kind::not_found) return false;
  if (tree) {
    FLEET_CHECK(remove_archives(fs, slots.staging(packed.model, packed.digest), packed.variant));
    auto const installed = slots.install(packed.model, packed.digest, *tree, stop);
    if (installed) return true;
    if (installed.error().kind != Kind::not_found && installed.error().code != "digest_mismatch") return installed.error();
  }
  FLEET_CHECK(slots.forget_tree(packed.model, packed.digest));
  return false;
}

}  // namespace fleet::agent
