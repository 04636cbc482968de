#pragma once

#include "core/base/bytes.hpp"
#include "server/store/db/db.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>

/// Which bytes belong to which model, and what would be left of them.
namespace fleet::cost {

/// A release, as who counts bytes knows it.
struct Owner {
  std::string model;
  bool kept = true;  ///< it would stay
};
using Owners = std::map<std::int64_t, Owner>;  ///< by the release's row

struct Sum {
  std::int64_t files = 0, bytes = 0;
  std::int64_t gone_bytes = 0;  ///< of them, what nothing that is kept names
};
struct Stored {
  std::map<std::string, Sum> models;  ///< each digest once a model: what models share counts for each of them
  Sum all;                            ///< each digest once
};

/// Sums digests and who names them. Pure.
class Tally {
public:
  explicit Tally(Owners const& owners) : owners_(owners) {}
  /// One name of a digest; all of a digest in a row. A release that is not among the owners names nothing.
  void add(Digest const& sha256, std::int64_t size, std::int64_t release);
  [[nodiscard]] Stored take();

private:
  void settle();

  Owners const& owners_;
  Stored out_;
  Digest now_{};
  std::int64_t size_ = 0;
  std::set<std::string> models_;  ///< that name the digest
  bool kept_ = false;
};

/// Files of releases; what was prepared of them for the way (server/content). Both walk all rows: not on an io thread.
[[nodiscard]] Result<Stored> files_stored(db::Connection& reader, Owners const& owners);
[[nodiscard]] Result<Stored> content_stored(db::Connection& reader, Owners const& owners);

/// What the data folder holds, whoever named it.
struct Store {
  std::int64_t blobs = 0, blob_bytes = 0;
  std::int64_t uploading_bytes = 0;  ///< that came of uploads under way
  std::int64_t leaving_bytes = 0;    ///< that nothing names and that go within a day
};
[[nodiscard]] Result<Store> store_held(db::Connection& reader);

}  // namespace fleet::cost
