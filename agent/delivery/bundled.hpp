#pragma once

#include "agent/slots/slots.hpp"
#include "core/bundle/bundle.hpp"
#include "core/crypto/data_key.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace fleet::agent {

/// A bundle that somebody handed in, and the directive that was accepted from it.
struct OpenBundle {
  std::shared_ptr<bundle::Bundle const> bundle;
  std::int64_t sequence = 0;
  SysTime issued_at{};
};

/// The bundle that updates are brought from, while one of them still needs it: then its file is closed, and the stick may be pulled. Thread-safe.
class BundleStock {
public:
  /// @param models  that the directive moves
  void put(OpenBundle open, std::set<std::string> models);
  [[nodiscard]] std::optional<OpenBundle> get() const;
  /// What `model` needs of it is here, or is wanted no more. @param sequence  of the directive that it obeys
  void done(std::string const& model, std::int64_t sequence);
  /// It cannot be read any more: the stick was pulled. @param why  for who waits
  void lose(std::string const& why);
  [[nodiscard]] std::string lost() const;
  /// How often one was put: who waits for a network looks again.
  [[nodiscard]] int times() const;

private:
  mutable std::mutex mutex_;
  std::optional<OpenBundle> open_;
  std::set<std::string> models_;
  std::string lost_;
  int times_ = 0;
};

/// Copies an object of the bundle to `path`, whatever is there, and hashes it on its way. False: the bundle does not have it, or other bytes.
/// @errors unavailable (`interrupted`; `bundle_lost`: it cannot be read; disk_full), io
[[nodiscard]] Result<bool> copy_from_bundle(Fs& fs, bundle::Bundle const& bundle, wire::ReleaseFile const& file, std::string const& path, std::atomic<bool> const& stop);

/// Makes a file of a protected release out of the bundle's encrypted objects. False: the bundle does not have them all, or other bytes, or the key is another's.
/// @param recipe  of a route that needs no base @errors as copy_from_bundle
[[nodiscard]] Result<bool> assemble_from_bundle(Fs& fs, bundle::Bundle const& bundle, wire::ReleaseFile const& file, Digest const& recipe, crypto::DataKey const& key,
                                                std::string const& path, std::atomic<bool> const& stop);

}  // namespace fleet::agent
