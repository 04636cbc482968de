#include "agent/store/spool.hpp"

#include "agent/store/kept_dirs.hpp"

#include <algorithm>
#include <charconv>

namespace fleet::agent {
namespace {

// Sequences are reserved in blocks, so that none is used twice although bulk items are not synced one by one.
constexpr std::int64_t kReserve = 1000;

}  // namespace

Spool::Spool(Fs& fs, Clock& clock, std::string dir) : fs_(fs), clock_(clock), dir_(std::move(dir)) {
  critical_.path = dir_ + "/critical";
  critical_.limit = kCriticalBytes;
  bulk_.path = dir_ + "/bulk";
  bulk_.limit = kBulkBytes;
}

Result<std::unique_ptr<Spool>> Spool::open(Fs& fs, std::string const& dir, Clock& clock) {
  FLEET_CHECK(find_or_make_dirs(fs, dir.substr(0, dir.find_last_of('/')), dir, 0700));
  std::unique_ptr<Spool> spool(new Spool(fs, clock, dir));
  FLEET_CHECK(spool->open_queue(spool->critical_));
  FLEET_CHECK(spool->open_queue(spool->bulk_));
  auto const reserved = fs.read(dir + "/sequence", 64);
  std::int64_t kept = 0;
  if (reserved) std::from_chars(reserved->data(), reserved->data() + reserved->size(), kept);
  else if (reserved.error().kind != Kind::not_found) return reserved.error();
  for (auto const* const queue : {&spool->critical_, &spool->bulk_})
    if (!queue->entries.empty()) kept = std::max(kept, queue->entries.back().sequence);
  spool->next_sequence_ = kept + 1;
  spool->reserved_ = kept;
  return spool;
}

Result<void> Spool::open_queue(Queue& queue) {
  auto const take = [&](std::string_view text) {
    auto const item = wire::decode_report_item(text);
    if (!item) return;  // its checksum fits, so it was written by another version: nothing the server could read either
    queue.bytes += text.size();
    queue.entries.push_back({item->sequence, std::string(text)});
    if (item->update) last_updates_[item->update->model] = queue.entries.back();
  };
  FLEET_TRY(auto opened, RecordFile::open(fs_, queue.path, 4 * queue.limit, take));
  queue.file = std::move(opened.file);
  return {};
}

Result<void> Spool::reserve_sequences() {
  if (next_sequence_ <= reserved_) return {};
  FLEET_CHECK(fs_.replace(dir_ + "/sequence", std::to_string(next_sequence_ + kReserve)));
  reserved_ = next_sequence_ + kReserve;
  return {};
}

Result<void> Spool::add(wire::ReportItem item) {
  std::lock_guard const lock(mutex_);
  bool const critical = item.update.has_value() || item.facts.has_value() || item.dropped.has_value();
  auto& queue = critical ? critical_ : bulk_;
  FLEET_CHECK(reserve_sequences());
  item.sequence = next_sequence_++;
  auto text = wire::encode(item);
  auto const dropped = evict(queue, text.size());
  Entry const entry{item.sequence, std::move(text)};
  FLEET_CHECK(append(queue, entry, critical));
  if (item.update) last_updates_[item.update->model] = entry;
  if (dropped == 0) return {};
  FLEET_CHECK(rewrite(queue));
  wire::ReportItem told;
  told.dropped = wire::DroppedItem{clock_.wall(), critical ? "critical" : "bulk", dropped};
  told.sequence = next_sequence_++;
  return append(critical_, {told.sequence, wire::encode(told)}, true);
}

std::int64_t Spool::evict(Queue& queue, std::uint64_t needed) {
  std::int64_t dropped = 0;
  while (!queue.entries.empty() && queue.bytes + needed > queue.limit) {
    queue.bytes -= queue.entries.front().text.size();
    queue.entries.pop_front();
    ++dropped;
  }
  return dropped;
}

Result<void> Spool::append(Queue& queue, Entry entry, bool sync) {
  if (queue.file->is_spoilt()) FLEET_CHECK(rewrite(queue));
  FLEET_CHECK(queue.file->append(entry.text, sync));
  queue.bytes += entry.text.size();
  queue.entries.push_back(std::move(entry));
  return {};
}

Result<void> Spool::rewrite(Queue& queue) {
  std::map<std::int64_t, std::string_view> kept;
  for (auto const& entry : queue.entries) kept.emplace(entry.sequence, entry.text);
  if (&queue == &critical_)
    for (auto const& [model, entry] : last_updates_) kept.emplace(entry.sequence, entry.text);
  std::string content;
  for (auto const& [sequence, text] : kept) content += RecordFile::line_of(text);
  FLEET_CHECK(fs_.replace(queue.path, content, 0600));
  FLEET_TRY(auto opened, RecordFile::open(fs_, queue.path, 4 * queue.limit, [](std::string_view) {}));
  queue.file = std::move(opened.file);
  return {};
}

std::vector<wire::ReportItem> Spool::next(std::size_t bytes_max) const {
  std::lock_guard const lock(mutex_);
  std::vector<Entry const*> order;
  for (auto const* const queue : {&critical_, &bulk_})
    for (auto const& entry : queue->entries) order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](auto const* a, auto const* b) { return a->sequence < b->sequence; });
  std::vector<wire::ReportItem> out;
  std::size_t bytes = 0;
  for (auto const* const entry : order) {
    if (!out.empty() && (bytes + entry->text.size() > bytes_max || out.size() == 5'000)) break;
    auto item = wire::decode_report_item(entry->text);
    if (item) out.push_back(std::move(*item));
    bytes += entry->text.size();
  }
  return out;
}

Result<void> Spool::acknowledge(std::int64_t sequence) {
  std::lock_guard const lock(mutex_);
  // What comes next must lie above what the server has, also after this device's disk was set back to an older state.
  next_sequence_ = std::max(next_sequence_, sequence + 1);
  for (auto* const queue : {&critical_, &bulk_}) {
    bool changed = false;
    while (!queue->entries.empty() && queue->entries.front().sequence <= sequence) {
      queue->bytes -= queue->entries.front().text.size();
      queue->entries.pop_front();
      changed = true;
    }
    // A repeat after a crash is counted once by the server, so the file is cut only when it is worth a write.
    bool const worth = queue->entries.empty() ? queue->file->size() > 64 * 1024 || queue == &critical_ : queue->file->size() > 2 * queue->bytes + 64 * 1024;
    if (changed && worth) FLEET_CHECK(rewrite(*queue));
  }
  return {};
}

std::optional<wire::UpdateItem> Spool::last_update(std::string const& model) const {
  std::lock_guard const lock(mutex_);
  auto const found = last_updates_.find(model);
  if (found == last_updates_.end()) return std::nullopt;
  auto const item = wire::decode_report_item(found->second.text);
  return item ? item->update : std::nullopt;
}

bool Spool::has_critical() const {
  std::lock_guard const lock(mutex_);
  return !critical_.entries.empty();
}

std::size_t Spool::size() const {
  std::lock_guard const lock(mutex_);
  return critical_.entries.size() + bulk_.entries.size();
}

}  // namespace fleet::agent
