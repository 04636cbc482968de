#include "server/admin/passphrase.hpp"

#include <fmt/format.h>

namespace fleet::admin {
namespace {

constexpr std::uint64_t kPassphraseFileMax = 4096;
constexpr std::size_t kPassphraseMin = 12;

}  // namespace

Result<std::optional<std::string>> read_passphrase(Fs& fs, std::string const& path) {
  if (path.empty()) return std::optional<std::string>{};
  FLEET_TRY(auto const text, fs.read(path, kPassphraseFileMax));
  auto line = text.substr(0, text.find_first_of("\r\n"));
  if (line.size() < kPassphraseMin)
    return Error{Kind::bad_input, "short_passphrase",
                 fmt::format("the first line of {} has {} characters, {} are the least", path, line.size(), kPassphraseMin)};
  return std::optional(std::move(line));
}

Result<crypto::KeyFiles> open_keys(Fs& fs, Random& random, Layout const& layout, std::string const& passphrase_file) {
  FLEET_TRY(auto const passphrase, read_passphrase(fs, passphrase_file));
  return crypto::KeyFiles::open(fs, random, layout.master_key(), passphrase);
}

Result<std::vector<std::string>> list_keys(Fs& fs, Layout const& layout) {
  std::vector<std::string> out{layout.ca_key(), layout.server_key()};
  if (fs.info(layout.next_ca_key())) out.push_back(layout.next_ca_key());
  FLEET_TRY(auto const names, fs.list(layout.keys()));
  for (auto const& name : names)
    if (name.ends_with(".key") || name.ends_with(".next")) out.push_back(layout.keys() + "/" + name);
  return out;
}

}  // namespace fleet::admin
