#include "agent/slots/slots.hpp"

#include "agent/store/kept_dirs.hpp"

/// Releases that may be as they are in memory alone (docs/adr/0050).
namespace fleet::agent {
namespace {

constexpr std::size_t kDigestLength = 64;  ///< in hexadecimal
constexpr std::uint64_t kKeyBytesMax = 4096;

std::uint64_t bytes_below(Fs& fs, std::string const& dir) {
  std::uint64_t bytes = 0;
  auto const names = fs.list(dir);
  for (auto const& name : names ? *names : std::vector<std::string>{}) {
    auto const info = fs.info(dir + "/" + name);
    if (info) bytes += info->type == FileInfo::Type::directory ? bytes_below(fs, dir + "/" + name) : info->size;
  }
  return bytes;
}

}  // namespace

std::string Slots::sealed(std::string const& model, std::string const& name) const { return home(model) + "/sealed/" + name.substr(0, kDigestLength); }
bool Slots::is_in_memory(std::string const& model, std::string const& name) const { return has_memory() && fs_.info(sealed(model, name) + "/key").has_value(); }
std::string Slots::base(std::string const& model, std::string const& name) const { return is_in_memory(model, name) ? memory_ + "/" + model : home(model); }
std::string Slots::target(std::string const& model, std::string const& name) const { return is_in_memory(model, name) ? slot(model, name) : "versions/" + name; }

Result<void> Slots::keep_in_memory(std::string const& model, std::string const& digest, std::string const& wrapped) {
  auto const dir = sealed(model, digest);
  FLEET_CHECK(make_folder(model, "sealed"));
  FLEET_CHECK(make_kept_dirs(fs_, layout_.root, dir));
  if (auto const kept = fs_.read(dir + "/key", kKeyBytesMax); kept && *kept == wrapped) return {};
  return fs_.replace(dir + "/key", wrapped, 0600);
}

Result<std::string> Slots::kept_key(std::string const& model, std::string const& digest) const {
  auto key = fs_.read(sealed(model, digest) + "/key", kKeyBytesMax);
  return !key && key.error().kind == Kind::not_found ? Result<std::string>(std::string()) : key;
}

std::uint64_t Slots::memory_bytes() const {
  return has_memory() ? bytes_below(fs_, memory_) : 0;
}

/// `versions` or `staging`, where the release has it.
Result<void> Slots::make_folder_of(std::string const& model, std::string const& name, std::string const& folder) {
  if (!is_in_memory(model, name)) return make_folder(model, folder);
  return fs_.make_dirs(memory_ + "/" + model + "/" + folder);
}

}  // namespace fleet::agent
