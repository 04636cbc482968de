#include "agent/slots/slots.hpp"

#include "agent/store/kept_dirs.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <map>

namespace fleet::agent {
namespace {

Result<void> ignore_absent(Result<void> const& result) { return !result && result.error().kind != Kind::not_found ? result : Result<void>{}; }

Error differs(std::string const& dir, std::string const& what) {
  return {Kind::unprocessable, "digest_mismatch", fmt::format("{}: {}", dir, what), "the files are fetched again"};
}

/// Every file below a folder, by relative path. Links and other things are faults: nothing we install makes them.
Result<void> walk(Fs& fs, std::string const& dir, std::string const& prefix, std::map<std::string, FileInfo>& out) {
  FLEET_TRY(auto const names, fs.list(dir));
  for (auto const& name : names) {
    FLEET_TRY(auto const info, fs.info(dir + "/" + name));
    if (info.type == FileInfo::Type::directory) {
      FLEET_CHECK(walk(fs, dir + "/" + name, prefix + name + "/", out));
    } else if (info.type == FileInfo::Type::file) {
      out.emplace(prefix + name, info);
    } else {
      return differs(dir, fmt::format("'{}' is neither file nor folder", name));
    }
  }
  return {};
}

}  // namespace

std::string Slots::slot(std::string const& model, std::string const& digest) const { return home(model) + "/versions/" + digest; }
std::string Slots::staging(std::string const& model, std::string const& digest) const { return home(model) + "/staging/" + digest; }
std::string Slots::scratch(std::string const& model) const { return home(model) + "/scratch"; }

Result<std::string> Slots::load_release(std::string const& model, std::string const& digest) const {
  auto const path = fmt::format("{}/releases/{}.json", home(model), digest);
  FLEET_TRY(auto text, fs_.read(path, 1024 * 1024));
  if (crypto::sha256(text).hex() != digest) return Error{Kind::corrupt, "digest_mismatch", fmt::format("{} does not have its digest", path)};
  return text;
}

Result<void> Slots::save_release(std::string const& model, std::string const& digest, std::string const& document) {
  FLEET_CHECK(make_kept_dirs(fs_, layout_.root, home(model) + "/releases"));
  return fs_.replace(fmt::format("{}/releases/{}.json", home(model), digest), document);
}

Result<void> Slots::check_files(std::string const& dir, wire::Variant const& variant) const {
  std::map<std::string, FileInfo> found;
  FLEET_CHECK(walk(fs_, dir, "", found));
  if (found.size() != variant.files.size()) return differs(dir, fmt::format("{} files, expected {}", found.size(), variant.files.size()));
  for (auto const& file : variant.files) {
    if (!found.contains(file.name)) return differs(dir, fmt::format("'{}' is missing", file.name));
    FLEET_TRY(auto const digest, crypto::sha256_file(fs_, dir + "/" + file.name));
    if (digest.size != file.size || digest.sha256 != file.sha256)
      return differs(
          dir, fmt::format("'{}' has digest {} ({} bytes), expected {} ({} bytes)", file.name, digest.sha256.hex(), digest.size, file.sha256.hex(), file.size));
  }
  return {};
}

Result<bool> Slots::is_whole(std::string const& model, std::string const& digest, wire::Variant const& variant) const {
  auto const checked = check_files(slot(model, digest), variant);
  if (checked) return true;
  bool const means_no = checked.error().kind == Kind::not_found || checked.error().code == "digest_mismatch";
  if (!means_no) return checked.error();
  return false;
}

Result<void> Slots::sync_tree(std::string const& dir) {
  FLEET_TRY(auto const names, fs_.list(dir));
  for (auto const& name : names) {
    auto const path = dir + "/" + name;
    FLEET_TRY(auto const info, fs_.info(path));
    if (info.type == FileInfo::Type::directory) {
      FLEET_CHECK(sync_tree(path));
      continue;
    }
    FLEET_TRY(auto const file, fs_.open(path, Fs::Mode::read));
    FLEET_CHECK(file->sync());
  }
  return fs_.sync_dir(dir);
}

Result<void> Slots::install(std::string const& model, std::string const& digest, wire::Variant const& variant) {
  auto const from = staging(model, digest), to = slot(model, digest);
  for (auto const& file : variant.files) FLEET_CHECK(fs_.set_executable(from + "/" + file.name, file.executable));
  FLEET_CHECK(sync_tree(from));
  FLEET_CHECK(check_files(from, variant));  // from the disk, not from what was received
  FLEET_CHECK(make_kept_dirs(fs_, layout_.root, home(model) + "/versions"));
  FLEET_CHECK(fs_.remove_tree(to));  // a slot that was not whole
  FLEET_CHECK(fs_.rename(from, to));
  FLEET_CHECK(fs_.sync_dir(home(model) + "/staging"));
  return fs_.sync_dir(home(model) + "/versions");
}

Result<std::string> Slots::current(std::string const& model) const {
  auto const target = fs_.read_link(home(model) + "/current");
  if (!target && target.error().kind == Kind::not_found) return std::string();
  if (!target) return target.error();
  return target->substr(target->find_last_of('/') + 1);
}

Result<void> Slots::switch_to(std::string const& model, std::string const& digest) {
  auto const link = home(model) + "/current", next = home(model) + "/current.new";
  // A slot found in place after a kill may have been renamed and not synced: its name is kept before anything points at it.
  FLEET_CHECK(fs_.sync_dir(home(model) + "/versions"));
  FLEET_CHECK(ignore_absent(fs_.remove(next)));
  FLEET_CHECK(fs_.symlink("versions/" + digest, next));
  FLEET_CHECK(fs_.rename(next, link));
  return fs_.sync_dir(home(model));
}

Result<void> Slots::remove_current(std::string const& model) {
  FLEET_CHECK(ignore_absent(fs_.remove(home(model) + "/current")));
  return ignore_absent(fs_.sync_dir(home(model)));
}

Result<void> Slots::collect(std::string const& model, std::set<std::string> const& keep) {
  for (std::string const folder : {"versions", "staging", "releases"}) {
    auto const dir = home(model) + "/" + folder;
    auto const names = fs_.list(dir);
    if (!names && names.error().kind == Kind::not_found) continue;
    if (!names) return names.error();
    for (auto const& name : *names)
      if (!keep.contains(name.substr(0, 64))) FLEET_CHECK(fs_.remove_tree(dir + "/" + name));
  }
  return {};
}

Result<std::vector<std::string>> Slots::models() const {
  auto const names = fs_.list(layout_.models());
  if (!names && names.error().kind == Kind::not_found) return std::vector<std::string>{};
  return names;
}

Result<void> Slots::make_scratch(std::string const& model) {
  FLEET_CHECK(fs_.remove_tree(scratch(model)));
  return fs_.make_dirs(scratch(model));
}

}  // namespace fleet::agent
