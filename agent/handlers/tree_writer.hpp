#pragma once

#include "agent/unpack/entries.hpp"
#include "agent/unpack/names.hpp"
#include "core/base/fs.hpp"
#include "core/crypto/hash.hpp"
#include "core/wire/release.hpp"

#include <atomic>
#include <memory>
#include <set>
#include <string>

namespace fleet::agent {

/// Writes what archives hold into a release's staging folder, beside the release's own files, and keeps what it wrote, with digests. Trusts nothing that it is told:
/// every name is checked, none may come twice or be a file here and a folder there, and every limit is held to. Makes no links; where they lead is known once all
/// are there (`finish`).
class TreeWriter final : public EntrySink {
public:
  /// @param dir    the staging folder: plain folders, no links; what the release names lies in it
  /// @param whole  the release's variant: its names are taken
  TreeWriter(Fs& fs, std::string dir, wire::Variant const& whole, std::atomic<bool> const& stop);

  /// The next archive, whose entries belong into the folder that it lies in. @param archive  name of its file
  void begin(std::string const& archive, ArchiveLimits const& limits);
  Result<void> file(std::string_view name, bool executable) override;
  Result<void> data(BytesView piece) override;
  Result<void> folder(std::string_view name) override;
  Result<void> link(std::string_view name, std::string_view target) override;
  Result<void> end() override { return close(); }

  /// What the slot will hold: the variant without its archives, and all that came out of them.
  /// @errors unprocessable (code `bad_archive`): a link that leads out, in circles or nowhere; more than a release may hold
  Result<wire::Variant> finish();

private:
  Result<std::string> place(std::string_view name, bool is_folder);
  Result<void> close();
  Fs& fs_;
  std::string dir_;
  std::atomic<bool> const& stop_;
  wire::Variant tree_;
  std::size_t own_files_;  ///< so many of them are the release's own
  std::set<std::string, std::less<>> files_, folders_;  ///< files and links; folders and all that are above something
  std::string archive_, prefix_;
  ArchiveLimits limits_;
  std::unique_ptr<File> open_;
  crypto::Sha256 hash_;
  std::uint64_t bytes_ = 0, unsynced_ = 0;  ///< bytes: of this archive
};

}  // namespace fleet::agent
