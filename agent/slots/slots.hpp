#pragma once

#include "agent/store/layout.hpp"
#include "core/base/fs.hpp"
#include "core/wire/release.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace fleet::agent {

/// The name of a slot, where a function below takes a digest: of a variant that runs by a condition of the device the digest and its name.
[[nodiscard]] inline std::string slot_name(std::string const& digest, std::string const& variant) { return variant.empty() ? digest : digest + "-" + variant; }

/// Where releases lie: models/<model>/versions/<digest>/ (immutable, content-addressed), the link `current`, and beside them
/// releases/<digest>.json and staging/<digest>/. Every step is durable before it returns (facts: the order of a power-loss-safe install).
///
/// A release that may be as it is in memory alone (docs/adr/0050) has its slot and staging folder below the memory's folder, under the same names, and `current`
/// leads there; on the disk is sealed/<digest>/: `key`, its data key as it came, for this device alone, and its files encrypted, each by its digest.
class Slots {
public:
  using Stop = std::atomic<bool> const*;
  /// @param memory  a folder in memory; empty: there is none
  Slots(Fs& fs, Layout layout, std::string memory = {}) : fs_(fs), layout_(std::move(layout)), memory_(std::move(memory)) {}

  [[nodiscard]] bool has_memory() const { return !memory_.empty(); }
  /// From now on the release is one that is in memory alone. @param wrapped  its data key, encrypted to this device
  Result<void> keep_in_memory(std::string const& model, std::string const& digest, std::string const& wrapped);
  /// That key; empty: it is no such release.
  [[nodiscard]] Result<std::string> kept_key(std::string const& model, std::string const& digest) const;
  [[nodiscard]] bool is_in_memory(std::string const& model, std::string const& name) const;
  [[nodiscard]] std::string sealed(std::string const& model, std::string const& name) const;
  /// What all slots in memory take.
  [[nodiscard]] std::uint64_t memory_bytes() const;

  [[nodiscard]] std::string slot(std::string const& model, std::string const& digest) const;
  [[nodiscard]] std::string staging(std::string const& model, std::string const& digest) const;
  /// What is kept besides while files are made there: recipes and how far they were followed. It goes once the slot is made, or with the staging folder.
  [[nodiscard]] std::string parts(std::string const& model, std::string const& digest) const { return staging(model, digest) + ".parts"; }
  /// Where a proof makes its folder.
  [[nodiscard]] std::string scratch(std::string const& model) const;

  /// release.json as it was verified. @errors not_found, corrupt (its digest differs)
  Result<std::string> load_release(std::string const& model, std::string const& digest) const;
  /// Digests of those that are kept.
  Result<std::vector<std::string>> releases(std::string const& model) const;
  Result<void> save_release(std::string const& model, std::string const& digest, std::string const& document);

  /// What a runtime needs to check a release by itself, beside its release.json.
  Result<void> save_signed(std::string const& model, std::string const& digest, std::string const& document);

  /// What a slot holds whose files came out of the release's archives: kept beside its release.json before anything of it is a slot. @errors not_found, bad_input
  Result<wire::Variant> load_tree(std::string const& model, std::string const& digest) const;
  Result<void> save_tree(std::string const& model, std::string const& digest, wire::Variant const& tree);
  Result<void> forget_tree(std::string const& model, std::string const& digest);

  /// True: the slot is there, every file has its size and digest and every link its target, no more and no less. What cannot be read is not whole.
  /// @param stop  looked at while files are read, here and below @errors unavailable (code `interrupted`)
  Result<bool> is_whole(std::string const& model, std::string const& digest, wire::Variant const& variant, Stop stop = nullptr) const;
  /// Right before the switch: the slot still holds what was checked. By the files' identities, where this process checked them; else by
  /// their digests, once more. @errors unprocessable (code `digest_mismatch`), io, unavailable (code `interrupted`)
  Result<void> check_unchanged(std::string const& model, std::string const& digest, wire::Variant const& variant, Stop stop = nullptr) const;
  /// Makes the staged files the slot: modes, links, re-hash from the disk, fsync of files and of every folder, rename, fsync of the parent.
  /// @errors unprocessable (code `digest_mismatch`), io, unavailable (disk_full, interrupted)
  Result<void> install(std::string const& model, std::string const& digest, wire::Variant const& variant, Stop stop = nullptr);
  /// Digest that `current` points at; empty: none.
  Result<std::string> current(std::string const& model) const;
  /// Which variant of that release it leads to; empty: its hardware's own, or there is none.
  Result<std::string> current_variant(std::string const& model) const;
  /// Atomic. `current` leads to another variant of the release that it leads to. The way back stays what it was.
  Result<void> switch_variant(std::string const& model, std::string const& digest, std::string const& variant);
  /// Atomic. Whatever lies in the way goes first, and the link of the way back is made: to what `current` pointed at so far.
  Result<void> switch_to(std::string const& model, std::string const& digest);
  /// The link by which `switch_to` goes back to `digest` on a disk that is full: then it is only renamed.
  Result<void> ready_way_back(std::string const& model, std::string const& digest);
  Result<void> remove_current(std::string const& model);
  /// Gives back every slot, staging folder and release.json that is not in `keep`, and whatever else lies in their folders.
  Result<void> collect(std::string const& model, std::set<std::string> const& keep);
  /// What the files of a release's slots take.
  Result<std::uint64_t> size_of(std::string const& model, std::string const& digest) const;
  /// An empty staging folder, but for the files of this variant that were begun: what else lies there, or in its place, goes.
  Result<void> prepare_staging(std::string const& model, std::string const& digest, wire::Variant const& variant);
  /// Models that have a folder. What else lies beside them is nobody's.
  Result<std::vector<std::string>> models() const;
  /// Digests whose slots lie there, whole or not.
  Result<std::vector<std::string>> versions(std::string const& model) const;

private:
  [[nodiscard]] std::string home(std::string const& model) const { return layout_.models() + "/" + model; }
  [[nodiscard]] std::string tree_path(std::string const& model, std::string const& digest) const { return home(model) + "/releases/" + digest + ".tree.json"; }
  /// Where the release's slot and staging folder lie.
  [[nodiscard]] std::string base(std::string const& model, std::string const& name) const;
  /// What a link to its slot says.
  [[nodiscard]] std::string target(std::string const& model, std::string const& name) const;
  Result<std::string> linked(std::string const& model) const;
  Result<void> lead_to(std::string const& model, std::string const& name);
  Result<void> make_folder(std::string const& model, std::string const& name);
  Result<void> make_folder_of(std::string const& model, std::string const& name, std::string const& folder);
  Result<void> check_files(std::string const& dir, std::string const& name, wire::Variant const& variant, Stop stop) const;
  Result<void> sync_tree(std::string const& dir, Stop stop);
  Result<void> make_links(std::string const& dir, wire::Variant const& variant);
  Fs& fs_;
  Layout layout_;
  std::string memory_;
  /// Files as they were when their digests were checked, by model and digest.
  struct Checked {
    std::mutex mutex;
    std::map<std::string, std::map<std::string, FileInfo::Identity>> slots;
  };
  std::unique_ptr<Checked> checked_ = std::make_unique<Checked>();
};

}  // namespace fleet::agent
