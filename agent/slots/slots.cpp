#include "agent/slots/slots.hpp"

#include "agent/store/kept_dirs.hpp"
#include "core/base/names.hpp"
#include "core/crypto/hash.hpp"
#include "core/wire/device.hpp"

#include <fmt/format.h>

#include <map>
#include <mutex>

namespace fleet::agent {
namespace {

constexpr std::size_t kDigestLength = 64;  ///< in hexadecimal

Result<void> ignore_absent(Result<void> const& result) { return !result && result.error().kind != Kind::not_found ? result : Result<void>{}; }

Error differs(std::string const& dir, std::string const& what) {
  return {Kind::unprocessable, "digest_mismatch", fmt::format("{}: {}", dir, what), "the files are fetched again"};
}

/// Takes away what lies in the place of a file or folder of ours and is none.
Result<void> clear_unless(Fs& fs, std::string const& path, FileInfo::Type wanted) {
  auto const there = fs.info(path);
  if (!there && there.error().kind == Kind::not_found) return {};
  if (!there) return there.error();
  return there->type == wanted ? Result<void>{} : fs.remove_tree(path);
}

/// Takes away everything below a folder that is neither one of `files` nor one of `folders`, by relative path and by kind.
Result<void> clear_strangers(Fs& fs, std::string const& dir, std::string const& prefix, std::set<std::string> const& files,
                             std::set<std::string> const& folders) {
  FLEET_TRY(auto const names, fs.list(dir));
  for (auto const& name : names) {
    auto const path = dir + "/" + name, relative = prefix + name;
    FLEET_TRY(auto const info, fs.info(path));
    bool const is_folder = info.type == FileInfo::Type::directory && folders.contains(relative);
    bool const is_file = info.type == FileInfo::Type::file && files.contains(relative);
    FLEET_CHECK(is_folder ? clear_strangers(fs, path, relative + "/", files, folders) : is_file ? Result<void>{} : fs.remove_tree(path));
  }
  return {};
}

/// Every file and link below a folder, by relative path. Other things are faults: nothing we install makes them.
Result<void> walk(Fs& fs, std::string const& dir, std::string const& prefix, std::map<std::string, FileInfo>& out) {
  FLEET_TRY(auto const names, fs.list(dir));
  for (auto const& name : names) {
    FLEET_TRY(auto const info, fs.info(dir + "/" + name));
    if (info.type == FileInfo::Type::directory) {
      FLEET_CHECK(walk(fs, dir + "/" + name, prefix + name + "/", out));
    } else if (info.type == FileInfo::Type::file || info.type == FileInfo::Type::link) {
      out.emplace(prefix + name, info);
    } else {
      return differs(dir, fmt::format("'{}' is neither file, folder nor link", name));
    }
  }
  return {};
}

/// A folder below another; none on the way may be a link, through which it would be made elsewhere.
Result<void> make_plain_dirs(Fs& fs, std::string const& dir, std::string const& name) {
  for (std::size_t slash = 0; slash != std::string::npos;) {
    slash = name.find('/', slash + 1);
    auto const there = fs.info(dir + "/" + name.substr(0, slash));
    if (!there && there.error().kind == Kind::not_found) return fs.make_dirs(dir + "/" + name);
    if (!there) return there.error();
    if (there->type != FileInfo::Type::directory) return differs(dir, fmt::format("'{}' is no folder", name.substr(0, slash)));
  }
  return {};
}

using Identities = std::map<std::string, FileInfo::Identity>;
Identities identities_of(std::map<std::string, FileInfo> const& files) {
  Identities out;
  for (auto const& [name, info] : files) out.emplace(name, info.identity);
  return out;
}

}  // namespace

std::string Slots::slot(std::string const& model, std::string const& digest) const { return base(model, digest) + "/versions/" + digest; }
std::string Slots::staging(std::string const& model, std::string const& digest) const { return base(model, digest) + "/staging/" + digest; }
std::string Slots::scratch(std::string const& model) const { return home(model) + "/scratch"; }

Result<std::string> Slots::load_release(std::string const& model, std::string const& digest) const {
  auto const path = fmt::format("{}/releases/{}.json", home(model), digest);
  FLEET_TRY(auto text, fs_.read(path, 1024 * 1024));
  if (crypto::sha256(text).hex() != digest) return Error{Kind::corrupt, "digest_mismatch", fmt::format("{} does not have its digest", path)};
  return text;
}

Result<std::vector<std::string>> Slots::releases(std::string const& model) const {
  auto const names = fs_.list(home(model) + "/releases");
  if (!names && names.error().kind == Kind::not_found) return std::vector<std::string>{};
  if (!names) return names.error();
  std::vector<std::string> out;
  for (auto const& name : *names)
    if (name.size() == 69 && name.ends_with(".json")) out.push_back(name.substr(0, 64));
  return out;
}

Result<void> Slots::save_release(std::string const& model, std::string const& digest, std::string const& document) {
  auto const path = fmt::format("{}/releases/{}.json", home(model), digest);
  FLEET_CHECK(make_folder(model, "releases"));
  FLEET_CHECK(clear_unless(fs_, path, FileInfo::Type::file));
  return fs_.replace(path, document);
}

/// Written as a release of the one variant, so that what is read back has passed every check of a release's names and links.
Result<wire::Variant> Slots::load_tree(std::string const& model, std::string const& digest) const {
  FLEET_TRY(auto const text, fs_.read(tree_path(model, digest), wire::kReleaseBytesMax));
  FLEET_TRY(auto release, wire::decode_release(text));
  return std::move(release.variants.front());
}

Result<void> Slots::save_tree(std::string const& model, std::string const& digest, wire::Variant const& tree) {
  wire::Release release;
  release.model = model;
  release.version = "0";
  release.release_counter = 1;
  release.variants = {tree};
  auto const text = wire::encode(release);
  if (text.size() > wire::kReleaseBytesMax)
    return Error{Kind::unprocessable, "bad_archive", fmt::format("the list of its {} files and links takes {} bytes, at most {} are taken", tree.files.size() + tree.links.size(), text.size(), wire::kReleaseBytesMax),
                 "pack fewer files, or give them shorter names"};
  FLEET_CHECK(make_folder(model, "releases"));
  FLEET_CHECK(clear_unless(fs_, tree_path(model, digest), FileInfo::Type::file));
  return fs_.replace(tree_path(model, digest), text);
}

Result<void> Slots::forget_tree(std::string const& model, std::string const& digest) { return ignore_absent(fs_.remove(tree_path(model, digest))); }

Result<void> Slots::save_signed(std::string const& model, std::string const& digest, std::string const& document) {
  auto const path = fmt::format("{}/releases/{}.signed.json", home(model), digest);
  FLEET_CHECK(make_folder(model, "releases"));
  FLEET_CHECK(clear_unless(fs_, path, FileInfo::Type::file));
  return fs_.replace(path, document);
}

/// A folder of the model's, with nothing else in its place.
Result<void> Slots::make_folder(std::string const& model, std::string const& name) {
  FLEET_CHECK(clear_unless(fs_, home(model), FileInfo::Type::directory));
  FLEET_CHECK(clear_unless(fs_, home(model) + "/" + name, FileInfo::Type::directory));
  return make_kept_dirs(fs_, layout_.root, home(model) + "/" + name);
}

Result<void> Slots::prepare_staging(std::string const& model, std::string const& digest, wire::Variant const& variant) {
  auto const dir = staging(model, digest);
  FLEET_CHECK(make_folder_of(model, digest, "staging"));
  FLEET_CHECK(clear_unless(fs_, dir, FileInfo::Type::directory));
  FLEET_CHECK(fs_.make_dirs(dir));
  std::set<std::string> files, folders;
  for (auto const& file : variant.files) {
    files.insert(file.name);
    for (auto slash = file.name.find('/'); slash != std::string::npos; slash = file.name.find('/', slash + 1)) folders.insert(file.name.substr(0, slash));
  }
  return clear_strangers(fs_, dir, "", files, folders);
}

Result<void> Slots::check_files(std::string const& dir, std::string const& name, wire::Variant const& variant, Stop stop) const {
  std::map<std::string, FileInfo> found;
  FLEET_CHECK(walk(fs_, dir, "", found));
  auto const expected = variant.files.size() + variant.links.size();
  if (found.size() != expected) return differs(dir, fmt::format("{} files and links, expected {}", found.size(), expected));
  for (auto const& folder : variant.folders) {
    auto const info = fs_.info(dir + "/" + folder);
    if (!info || info->type != FileInfo::Type::directory) return differs(dir, fmt::format("folder '{}' is missing", folder));
  }
  {
    std::lock_guard const lock(checked_->mutex);
    checked_->slots.erase(name);
  }
  auto const is = [&](std::string const& path, FileInfo::Type type) {
    auto const there = found.find(path);
    return there != found.end() && there->second.type == type;
  };
  for (auto const& link : variant.links) {
    auto const target = is(link.name, FileInfo::Type::link) ? fs_.read_link(dir + "/" + link.name) : Result<std::string>(std::string());
    if (!target) return target.error();
    if (*target != link.target) return differs(dir, fmt::format("link '{}' is missing, or leads elsewhere", link.name));
  }
  for (auto const& file : variant.files) {
    if (!is(file.name, FileInfo::Type::file)) return differs(dir, fmt::format("'{}' is missing", file.name));
    if (file.executable && !found.at(file.name).executable) return differs(dir, fmt::format("'{}' is not executable", file.name));
    FLEET_TRY(auto const digest, crypto::sha256_file(fs_, dir + "/" + file.name, stop));
    if (digest.size != file.size || digest.sha256 != file.sha256)
      return differs(
          dir, fmt::format("'{}' has digest {} ({} bytes), expected {} ({} bytes)", file.name, digest.sha256.hex(), digest.size, file.sha256.hex(), file.size));
  }
  // As they were before they were read: what changes them from then on is seen.
  std::lock_guard const lock(checked_->mutex);
  checked_->slots.insert_or_assign(name, identities_of(found));
  return {};
}

Result<void> Slots::check_unchanged(std::string const& model, std::string const& digest, wire::Variant const& variant, Stop stop) const {
  auto const dir = slot(model, digest), name = model + "/" + digest;
  std::map<std::string, FileInfo> found;
  FLEET_CHECK(walk(fs_, dir, "", found));
  {
    std::lock_guard const lock(checked_->mutex);
    auto const known = checked_->slots.find(name);
    if (known != checked_->slots.end() && known->second == identities_of(found)) return {};
  }
  return check_files(dir, name, variant, stop);
}

Result<bool> Slots::is_whole(std::string const& model, std::string const& digest, wire::Variant const& variant, Stop stop) const {
  auto const checked = check_files(slot(model, digest), model + "/" + digest, variant, stop);
  if (checked) return true;
  bool const means_no = checked.error().kind == Kind::not_found || checked.error().kind == Kind::io || checked.error().code == "digest_mismatch";
  if (!means_no) return checked.error();
  return false;
}

Result<void> Slots::sync_tree(std::string const& dir, Stop stop) {
  FLEET_TRY(auto const names, fs_.list(dir));
  for (auto const& name : names) {
    auto const path = dir + "/" + name;
    FLEET_TRY(auto const info, fs_.info(path));
    if (info.type == FileInfo::Type::directory) FLEET_CHECK(sync_tree(path, stop));
    if (info.type != FileInfo::Type::file) continue;
    if (stop != nullptr && *stop) return Error{Kind::unavailable, "interrupted", path + ": something else is wanted meanwhile"};
    FLEET_TRY(auto const file, fs_.open(path, Fs::Mode::read));
    if (auto const synced = file->sync_all(); !synced) {  // its mode is part of it
      // Its bytes may be nowhere but in memory, and would be read from there: it is fetched anew.
      static_cast<void>(fs_.remove(path));
      return synced;
    }
    // Where an earlier sync failed, and the file could not be removed, memory has what the disk has not: what is hashed next comes from there.
    file->drop_cached();
  }
  return fs_.sync_dir(dir);
}

/// Last: while files are written there is no link that they could be written through, and a link is made in folders that are none.
Result<void> Slots::make_links(std::string const& dir, wire::Variant const& variant) {
  for (auto const& link : variant.links) {
    if (auto const slash = link.name.rfind('/'); slash != std::string::npos) FLEET_CHECK(make_plain_dirs(fs_, dir, link.name.substr(0, slash)));
    auto const path = dir + "/" + link.name;
    if (auto const there = fs_.info(path); there && there->type == FileInfo::Type::link) FLEET_CHECK(fs_.remove(path));
    FLEET_CHECK(fs_.symlink(link.target, path));
  }
  return {};
}

Result<void> Slots::install(std::string const& model, std::string const& digest, wire::Variant const& variant, Stop stop) {
  auto const from = staging(model, digest), to = slot(model, digest);
  for (auto const& file : variant.files) FLEET_CHECK(fs_.set_executable(from + "/" + file.name, file.executable));
  for (auto const& folder : variant.folders) FLEET_CHECK(make_plain_dirs(fs_, from, folder));
  FLEET_CHECK(make_links(from, variant));
  FLEET_CHECK(sync_tree(from, stop));
  FLEET_CHECK(check_files(from, model + "/" + digest, variant, stop));  // from the disk, not from what was received
  FLEET_CHECK(make_folder_of(model, digest, "versions"));
  FLEET_CHECK(fs_.remove_tree(to));  // a slot that was not whole
  FLEET_CHECK(fs_.rename(from, to));
  FLEET_CHECK(fs_.sync_dir(base(model, digest) + "/staging"));
  return fs_.sync_dir(base(model, digest) + "/versions");
}

/// The slot's name that `current` leads to; empty: none.
Result<std::string> Slots::linked(std::string const& model) const {
  auto const target = fs_.read_link(home(model) + "/current");
  if (!target && target.error().kind == Kind::not_found) return std::string();
  if (!target) return target.error();
  return target->substr(target->find_last_of('/') + 1);
}

Result<std::string> Slots::current(std::string const& model) const {
  FLEET_TRY(auto const name, linked(model));
  return name.substr(0, name.find('-'));
}

Result<std::string> Slots::current_variant(std::string const& model) const {
  FLEET_TRY(auto const name, linked(model));
  auto const dash = name.find('-');
  return dash == std::string::npos ? std::string() : name.substr(dash + 1);
}

/// By a link that is made beside it and takes its place.
Result<void> Slots::lead_to(std::string const& model, std::string const& name) {
  auto const next = home(model) + "/current.new";
  FLEET_CHECK(fs_.remove_tree(next));
  FLEET_CHECK(fs_.symlink(target(model, name), next));
  FLEET_CHECK(clear_unless(fs_, home(model) + "/current", FileInfo::Type::link));
  FLEET_CHECK(fs_.rename(next, home(model) + "/current"));
  return fs_.sync_dir(home(model));
}

Result<void> Slots::switch_variant(std::string const& model, std::string const& digest, std::string const& variant) {
  FLEET_CHECK(fs_.sync_dir(base(model, digest) + "/versions"));
  return lead_to(model, slot_name(digest, variant));
}

Result<void> Slots::switch_to(std::string const& model, std::string const& digest) {
  auto const link = home(model) + "/current";
  // A slot found in place after a kill may have been renamed and not synced: its name is kept before anything points at it.
  FLEET_CHECK(fs_.sync_dir(base(model, digest) + "/versions"));
  auto const ready = home(model) + "/current.back";
  if (auto const back = fs_.read_link(ready); !back || *back != target(model, digest)) {
    FLEET_TRY(auto const now, current(model));
    if (!now.empty() && now != digest) FLEET_CHECK(ready_way_back(model, now));
    return lead_to(model, digest);
  }
  FLEET_CHECK(clear_unless(fs_, link, FileInfo::Type::link));
  FLEET_CHECK(fs_.rename(ready, link));
  return fs_.sync_dir(home(model));
}

Result<void> Slots::ready_way_back(std::string const& model, std::string const& digest) {
  auto const link = home(model) + "/current.back", wanted = target(model, digest);
  if (auto const there = fs_.read_link(link); there && *there == wanted) return {};
  FLEET_CHECK(fs_.remove_tree(link));
  return fs_.symlink(wanted, link);
}

Result<void> Slots::remove_current(std::string const& model) {
  FLEET_CHECK(ignore_absent(fs_.remove(home(model) + "/current")));
  return ignore_absent(fs_.sync_dir(home(model)));
}

Result<void> Slots::collect(std::string const& model, std::set<std::string> const& keep) {
  {
    std::lock_guard const lock(checked_->mutex);
    std::erase_if(checked_->slots, [&](auto const& one) { return one.first.starts_with(model + "/") && !keep.contains(one.first.substr(model.size() + 1, kDigestLength)); });
  }
  std::vector<std::string> dirs{home(model) + "/versions", home(model) + "/staging", home(model) + "/releases"};
  if (has_memory()) dirs.insert(dirs.end(), {memory_ + "/" + model + "/versions", memory_ + "/" + model + "/staging"});
  dirs.push_back(home(model) + "/sealed");  // last: it says where the others are
  for (auto const& dir : dirs) {
    auto const names = fs_.list(dir);
    if (!names && names.error().kind == Kind::not_found) continue;
    if (!names) return names.error();
    for (auto const& name : *names)
      if (!keep.contains(name.substr(0, kDigestLength))) FLEET_CHECK(fs_.remove_tree(dir + "/" + name));
  }
  return {};
}

Result<std::uint64_t> Slots::size_of(std::string const& model, std::string const& digest) const {
  FLEET_TRY(auto const names, fs_.list(base(model, digest) + "/versions"));
  std::map<std::string, FileInfo> files;
  for (auto const& name : names)
    if (name.substr(0, kDigestLength) == digest) FLEET_CHECK(walk(fs_, slot(model, name), name + "/", files));
  std::uint64_t bytes = 0;
  for (auto const& [name, info] : files) bytes += info.size;
  return bytes;
}

Result<std::vector<std::string>> Slots::models() const {
  auto const names = fs_.list(layout_.models());
  if (!names && names.error().kind == Kind::not_found) return std::vector<std::string>{};
  if (!names) return names.error();
  std::vector<std::string> out;
  for (auto const& name : *names) {
    auto const info = fs_.info(layout_.models() + "/" + name);
    if (check_model_name(name) && info && info->type == FileInfo::Type::directory) out.push_back(name);
  }
  return out;
}

Result<std::vector<std::string>> Slots::versions(std::string const& model) const {
  auto names = fs_.list(home(model) + "/versions");
  if (!names && names.error().kind != Kind::not_found) return names;
  if (!names) names = std::vector<std::string>{};
  std::erase_if(*names, [](std::string const& name) { return name.size() > kDigestLength; });  // a variant's: its release has one of the digest alone
  auto const in_memory = fs_.list(home(model) + "/sealed");
  for (auto const& name : in_memory ? *in_memory : std::vector<std::string>{})
    if (is_in_memory(model, name)) names->push_back(name);
  return names;
}

}  // namespace fleet::agent
