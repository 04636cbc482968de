#pragma once

#include "core/base/fs.hpp"
#include "core/wire/device.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fleet::agent {

/// What a tier may keep, and how surely.
struct TierRules {
  std::string_view name;         ///< of its files
  std::uint64_t bytes_max = 0;   ///< above it the oldest segment goes, where `evicts`
  bool durable = false;          ///< an item is on the disk before `append` returns; else it may stay in memory until there are some
  bool evicts = true;
};

/// One tier of the spool: numbered items in files, the oldest first. `NAME` grows; once it is full it becomes `NAME.<its last number>`, is only read
/// from then on, and goes as a whole: nothing is ever rewritten. Whatever lies there, it opens: lines that do not prove themselves are passed over, and
/// what a failing disk does not take stays in memory. One thread at a time.
class SpoolTier {
public:
  static constexpr std::uint64_t kSegmentBytes = 64 * 1024;

  SpoolTier(Fs& fs, std::string const& dir, TierRules const& rules);
  /// `item` has a number above all before it. @errors of the disk; the item is kept in memory all the same
  Result<void> append(wire::ReportItem const& item);
  /// Makes room down to the limit. @returns how many items went, for ever
  std::int64_t evict();
  /// What a report still has room for. The first item of a report always fits.
  struct Room {
    std::size_t bytes = 0, items = 0;
    bool is_empty = true;
  };
  /// Items above `sequence`, the oldest first, as far as they fit.
  [[nodiscard]] std::vector<wire::ReportItem> after(std::int64_t sequence, Room& room);
  /// Items up to `sequence` are at the server.
  void drop_through(std::int64_t sequence);
  /// What is in memory alone goes to the disk.
  Result<void> spill();
  /// Whether all that lies there was seen. A disk that did not answer is looked at again whenever something comes or goes; what it has may have higher numbers than `last` says.
  [[nodiscard]] bool is_known() const { return is_known_; }
  /// The highest number in it, or 0.
  [[nodiscard]] std::int64_t last() const;
  [[nodiscard]] std::uint64_t bytes() const;

private:
  struct Segment {
    std::string path;
    std::int64_t last = 0;
    std::uint64_t bytes = 0;
  };
  struct Entry {
    std::int64_t sequence = 0;
    std::string line;
  };
  struct Batch;
  void look();
  bool find_sealed();
  bool find_active();
  Result<void> read_active();
  Result<void> begin_active();
  Result<void> write(std::string const& lines);
  void seal();
  bool take_from(Segment const& segment, std::uint64_t from, Batch& batch);

  Fs& fs_;
  TierRules rules_;
  std::string dir_;
  bool is_known_ = false;
  bool is_in_the_way_ = false;  ///< a file under `path_` that holds nothing and could not be removed
  int unread_ = 0;  ///< times in a row that a segment could not be read
  std::string path_;  ///< of the segment that grows
  std::deque<Segment> sealed_;
  std::unique_ptr<File> file_;  ///< of the segment that grows, once there is one
  Segment active_;
  std::deque<Entry> memory_;  ///< not on the disk yet
  std::uint64_t memory_bytes_ = 0;
  std::int64_t dropped_through_ = 0;
  /// Where the item after `after` lies, so that a long file is read once and not once a batch.
  struct Place {
    std::int64_t after = -1;
    std::string path;
    std::uint64_t offset = 0;
  } place_;
};

}  // namespace fleet::agent
