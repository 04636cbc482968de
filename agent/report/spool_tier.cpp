#include "agent/report/spool_tier.hpp"

#include "agent/store/record_file.hpp"
#include "core/base/log.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kSpillBytes = 32 * 1024;
constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr int kUnreadMost = 1'000;  ///< then what cannot be read is passed over: that sector does not come back
constexpr std::size_t kLineBytesMax = wire::kReportBytesMax + 64;

/// Calls `each(line, offset behind it)` for the whole lines from `from` on, until it returns false. A line beyond every limit is none.
/// @returns the offset behind the last newline
Result<std::uint64_t> read_lines(File& file, std::uint64_t from, std::function<bool(std::string_view, std::uint64_t)> const& each) {
  Bytes piece(kPieceBytes);
  std::string line;
  auto whole = from;
  for (auto at = from;;) {
    FLEET_TRY(auto const n, file.read_at(at, piece));
    if (n == 0) return whole;
    auto rest = as_text(BytesView(piece).first(n));
    while (!rest.empty()) {
      auto const end = rest.find('\n');
      auto const part = rest.substr(0, end);
      if (line.size() + part.size() <= kLineBytesMax) line += part;
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
      whole = at + n - rest.size();
      if (!each(line, whole)) return whole;
      line.clear();
    }
    at += n;
  }
}

std::optional<wire::ReportItem> item_of(std::string_view line) {
  auto const text = RecordFile::text_of(line);
  if (!text) return std::nullopt;
  // Its checksum fits, so what is no item was written by another version: nothing that the server could read either.
  auto item = wire::decode_report_item(*text);
  return item ? std::optional(*std::move(item)) : std::nullopt;
}

}  // namespace

/// What is gathered to be sent.
struct SpoolTier::Batch {
  std::int64_t after;
  Room& room;
  std::vector<wire::ReportItem> items = {};

  /// False: it does not fit any more.
  bool take(std::string_view line) {
    auto item = item_of(line);
    if (!item || item->sequence <= after) return true;
    if (!room.is_empty && (line.size() > room.bytes || room.items == 0)) return false;
    room = {room.bytes - std::min(room.bytes, line.size()), room.items - 1, false};
    after = item->sequence;
    items.push_back(*std::move(item));
    return true;
  }
};

SpoolTier::SpoolTier(Fs& fs, std::string const& dir, TierRules const& rules) : fs_(fs), rules_(rules), dir_(dir), path_(dir + "/" + std::string(rules.name)) {
  active_.path = path_;
  look();
}

void SpoolTier::look() {
  if (is_known_) return;
  bool const sealed = find_sealed();
  is_known_ = find_active() && sealed;
}

/// False: the disk does not say what there is. What was seen before is not taken twice.
bool SpoolTier::find_sealed() {
  auto const names = fs_.list(dir_);
  if (!names) return names.error().kind == Kind::not_found;
  bool all = true;
  for (auto const& name : *names) {
    auto const prefix = std::string(rules_.name) + ".";
    if (!name.starts_with(prefix)) continue;
    Segment segment{dir_ + "/" + name, 0, 0};
    auto const* const end = name.data() + name.size();
    auto const [stopped, fault] = std::from_chars(name.data() + prefix.size(), end, segment.last);
    bool const known = std::any_of(sealed_.begin(), sealed_.end(), [&](Segment const& one) { return one.path == segment.path; });
    if (fault != std::errc{} || stopped != end || known) continue;  // not ours
    auto const info = fs_.info(segment.path);
    all = all && (info || info.error().kind == Kind::not_found);
    if (!info || info->type != FileInfo::Type::file) continue;
    segment.bytes = info->size;
    sealed_.push_back(std::move(segment));
  }
  std::sort(sealed_.begin(), sealed_.end(), [](Segment const& a, Segment const& b) { return a.last < b.last; });
  return all;
}

/// What a power cut tore off at its end is cut away. False: the disk does not say what there is.
bool SpoolTier::find_active() {
  bool const is_sealed = std::any_of(sealed_.begin(), sealed_.end(), [&](Segment const& one) { return one.path == path_; });
  if (file_ || is_sealed) return true;
  auto const info = fs_.info(path_);
  if (!info) return info.error().kind == Kind::not_found;
  auto const read = info->type == FileInfo::Type::file ? read_active() : Result<void>(Error{Kind::corrupt, "no_file", path_ + " is no file"});
  bool const sound = read && (active_.bytes == 0 || active_.last > 0);
  if (sound && active_.bytes >= kSegmentBytes) seal();
  if (sound) return true;
  log::warn("spool.put_away", {{"path", path_}, {"error", read ? "no line of it is an item" : read.error().detail}});
  file_.reset();
  active_ = {path_, 0, 0};
  // A disk that does not answer now may answer later: only what can be nothing of ours goes.
  if (!read && read.error().kind != Kind::corrupt) return false;
  if (auto const removed = fs_.remove_tree(path_); !removed) log::warn("spool.in_the_way", {{"path", path_}, {"error", removed.error().detail}});
  return true;
}

Result<void> SpoolTier::read_active() {
  auto opened = fs_.open(path_, Fs::Mode::write);
  if (!opened) opened = fs_.open(path_, Fs::Mode::read);  // a disk that is read-only still tells what it has
  FLEET_TRY(file_, std::move(opened));
  file_->drop_cached();  // what a failed sync left in memory is on no disk
  auto const note_last = [&](std::string_view line, std::uint64_t) {
    if (auto const item = item_of(line)) active_.last = std::max(active_.last, item->sequence);
    return true;
  };
  FLEET_TRY(active_.bytes, read_lines(*file_, 0, note_last));
  FLEET_TRY(auto const size, file_->size());
  if (size != active_.bytes) static_cast<void>(file_->truncate(active_.bytes));  // else the next item is written over it
  return {};
}

std::int64_t SpoolTier::last() const {
  if (!memory_.empty()) return memory_.back().sequence;
  return std::max(active_.last, sealed_.empty() ? 0 : sealed_.back().last);
}

std::uint64_t SpoolTier::bytes() const {
  auto sum = active_.bytes + memory_bytes_;
  for (auto const& segment : sealed_) sum += segment.bytes;
  return sum;
}

Result<void> SpoolTier::append(wire::ReportItem const& item) {
  look();
  memory_.push_back({item.sequence, RecordFile::line_of(wire::encode(item))});
  memory_bytes_ += memory_.back().line.size();
  if (!rules_.durable && memory_bytes_ < kSpillBytes) return {};
  return spill();
}

Result<void> SpoolTier::spill() {
  if (memory_.empty()) return {};
  std::string lines;
  for (auto const& entry : memory_) lines += entry.line;
  if (auto const written = write(lines); !written) {
    // Half a line must not stand before the next one, and pages that a failed fsync left are not believed: what comes begins another file.
    if (file_) static_cast<void>(file_->truncate(active_.bytes));
    seal();
    return written;
  }
  active_.bytes += lines.size();
  active_.last = memory_.back().sequence;
  memory_.clear();
  memory_bytes_ = 0;
  if (active_.bytes >= kSegmentBytes) seal();
  return {};
}

Result<void> SpoolTier::write(std::string const& lines) {
  FLEET_CHECK(begin_active());
  FLEET_CHECK(file_->write_at(active_.bytes, as_bytes(lines)));
  return rules_.durable ? file_->sync() : Result<void>{};
}

Result<void> SpoolTier::begin_active() {
  if (file_) return {};
  if (!is_known_) return Error{Kind::io, "io_error", "what is in " + dir_ + " could not be read"};
  if (is_in_the_way_) FLEET_CHECK(fs_.remove_tree(path_));
  is_in_the_way_ = false;
  FLEET_TRY(file_, fs_.open(path_, Fs::Mode::create_new, 0600));
  return rules_.durable ? fs_.sync_dir(path_.substr(0, path_.find_last_of('/'))) : Result<void>{};
}

/// The next item begins a new file, under the old name: the new one is durable before that, or a cut could leave the empty file in its place.
void SpoolTier::seal() {
  if (!file_) return;
  file_.reset();
  place_ = {};
  if (active_.bytes == 0) {
    is_in_the_way_ = !fs_.remove(path_);  // nothing of it was ever accepted
    return;
  }
  auto const name = path_ + "." + std::to_string(active_.last);
  auto const renamed = fs_.rename(path_, name);
  if (renamed && rules_.durable)
    if (auto const kept = fs_.sync_dir(path_.substr(0, path_.find_last_of('/'))); !kept) log::warn("spool.name_not_kept", {{"path", name}, {"error", kept.error().detail}});
  if (!renamed) log::warn("spool.not_sealed", {{"path", path_}, {"error", renamed.error().detail}});
  sealed_.push_back({renamed ? name : path_, active_.last, active_.bytes});  // by its old name it is sent, too; until then what comes stays in memory
  active_.bytes = 0;
}

std::int64_t SpoolTier::evict() {
  std::int64_t gone = 0;
  while (rules_.evicts && bytes() > rules_.bytes_max && (!sealed_.empty() || !memory_.empty())) {
    if (sealed_.empty()) {
      memory_bytes_ -= memory_.front().line.size();
      memory_.pop_front();
      ++gone;
      continue;
    }
    Room everything{std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::size_t>::max()};
    Batch all{dropped_through_, everything};
    take_from(sealed_.front(), 0, all);
    gone += static_cast<std::int64_t>(all.items.size());
    static_cast<void>(fs_.remove(sealed_.front().path));
    sealed_.pop_front();
  }
  return gone;
}

/// False: the batch is full; or this segment cannot be read, and what comes behind it must wait: who has that is taken to have this, too.
bool SpoolTier::take_from(Segment const& segment, std::uint64_t from, Batch& batch) {
  bool fits = true;
  place_ = {batch.after, segment.path, from};
  auto const take = [&](std::string_view line, std::uint64_t behind) {
    fits = batch.take(line);
    if (fits) place_ = {batch.after, segment.path, behind};
    return fits;
  };
  auto const file = fs_.open(segment.path, Fs::Mode::read);
  auto const read = file ? read_lines(**file, from, take) : file.error();
  if (!read) log::warn("spool.unread", {{"path", segment.path}, {"error", read.error().detail}});
  bool const may_come = !read && read.error().kind == Kind::io;
  unread_ = may_come ? unread_ + 1 : 0;
  return fits && (!may_come || unread_ > kUnreadMost);
}

std::vector<wire::ReportItem> SpoolTier::after(std::int64_t sequence, Room& room) {
  look();
  // What was not seen may be older than what was.
  if (!is_known_ && ++unread_ <= kUnreadMost) return {};
  Batch batch{sequence, room};
  auto const start = place_.after == sequence ? place_ : Place{};
  auto segments = sealed_;
  if (active_.bytes > 0) segments.push_back(active_);
  for (auto const& segment : segments) {
    if (segment.last <= sequence) continue;
    if (!take_from(segment, segment.path == start.path ? start.offset : 0, batch)) return std::move(batch.items);
  }
  for (auto const& entry : memory_)
    if (!batch.take(std::string_view(entry.line).substr(0, entry.line.size() - 1))) break;
  return std::move(batch.items);
}

void SpoolTier::drop_through(std::int64_t sequence) {
  dropped_through_ = std::max(dropped_through_, sequence);
  while (!sealed_.empty() && sealed_.front().last <= sequence) {
    static_cast<void>(fs_.remove(sealed_.front().path));  // what stays is sent once more, and counted once
    sealed_.pop_front();
  }
  if (file_ && active_.bytes > 0 && active_.last <= sequence && file_->truncate(0)) {
    active_.bytes = 0;
    place_ = {};
  }
  while (!memory_.empty() && memory_.front().sequence <= sequence) {
    memory_bytes_ -= memory_.front().line.size();
    memory_.pop_front();
  }
}

}  // namespace fleet::agent
