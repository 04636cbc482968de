#include "tests/crash/server/server.hpp"

#include "core/crypto/hash.hpp"
#include "server/blobs/batch.hpp"
#include "server/blobs/garbage.hpp"
#include "server/blobs/store/paths.hpp"
#include "server/blobs/queries.hpp"
#include "server/events/audit.hpp"
#include "server/events/queries.hpp"
#include "server/store/sqlite/sqlite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stdexcept>

namespace fleet::crash {
namespace {

constexpr std::size_t kPiece = 1'300;
constexpr std::uint64_t kBlobMax = 1024 * 1024;
constexpr SysTime kStart{std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}};

/// Nothing falls due by itself: what happens is the same each time.
class StillClock final : public Clock {
public:
  [[nodiscard]] SysTime wall() const override { return kStart; }
  [[nodiscard]] MonoTime mono() const override { return MonoTime{Millis{1}}; }
};

/// Uploads that were forgotten, and blobs that nobody names, are gone by then.
constexpr std::chrono::hours kEver{24 * 30};

store::Lane lane_of(int i) { return static_cast<store::Lane>(i % static_cast<int>(store::kLanes)); }

/// Those who wait for a group.
class Waiting {
public:
  explicit Waiting(int count) : left_(count) {}
  void done() {
    std::lock_guard const lock(mutex_);
    if (--left_ == 0) all_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    all_.wait(lock, [this] { return left_ == 0; });
  }

private:
  std::mutex mutex_;
  std::condition_variable all_;
  int left_;
};

}  // namespace

Server::Server(SharedDisk& disk, std::vector<Fact>& facts) : disk_(disk), facts_(facts), fs_(make_fs(disk)), clock_(std::make_unique<StillClock>()), random_(disk.changes()), now_(kStart) {
  auto opened = store::Store::open(dir_, *clock_);
  if (!opened) throw std::runtime_error("the store does not open: " + opened.error().detail);
  store_ = *std::move(opened);
  blobs_ = blobs::in_folder(*fs_, dir_, false);
}

void Server::acknowledge(Fact fact) {
  disk_.between([&] { facts_.push_back(std::move(fact)); });
}
void Server::fault(std::string text) { faults_.push_back(std::move(text)); }

void Server::upload(std::string const& content, std::string const& actor) {
  auto const done = [&]() -> Result<void> {
    FLEET_TRY(auto one, blobs::begin_upload(context(), crypto::sha256(content), content.size(), actor, "", now_));
    while (!one.done && one.received < one.size) {
      auto const piece = std::string_view(content).substr(one.received, kPiece);
      FLEET_TRY(one, blobs::append_piece(context(), one.id, one.received, as_bytes(piece), now_));
      acknowledge({fmt::format("{} bytes of an upload", one.received), [content, actor, at_least = one.received](Server& server) {
                     auto const there = server.received(content, actor);
                     return there >= at_least ? "" : fmt::format("of {} bytes {} are there", at_least, there);
                   }});
    }
    if (!one.done) FLEET_CHECK(blobs::finish_upload(context(), one.id, now_));
    acknowledge({"a finished upload", [content](Server& server) { return server.holds_blob(content) ? "" : "its blob is not there"; }});
    return {};
  }();
  if (!done) fault(fmt::format("an upload: {}: {}", done.error().code, done.error().detail));
}

void Server::batch(std::vector<std::string> const& contents, std::string const& actor) {
  std::string list, bytes;
  for (auto const& one : contents) {
    list += fmt::format(R"({}{{"sha256":"{}","size":{}}})", list.empty() ? "" : ",", crypto::sha256(one).hex(), one.size());
    bytes += one;
  }
  auto const done = blobs::store_batch(context(), fmt::format("{{\"files\":[{}]}}\n{}", list, bytes), actor, "", now_);
  if (!done) return fault(fmt::format("a batch: {}: {}", done.error().code, done.error().detail));
  acknowledge({"a batch", [contents](Server& server) {
                 bool const all = std::all_of(contents.begin(), contents.end(), [&](auto const& one) { return server.holds_blob(one); });
                 return all ? "" : "not all of its blobs are there";
               }});
}

void Server::log_all(int count) {
  Waiting waiting(count);
  std::mutex queued;  // the first job waits until the others stand behind it
  queued.lock();
  for (int i = 0; i < count; ++i) {
    auto const request = fmt::format("request-{}", i);
    auto const job = [this, request, i, &queued](store::Tx& tx) -> Result<void> {
      if (i == 0) std::lock_guard const lock(queued);
      auto known = tx.prepare({"crash_entry", "SELECT 1 FROM audit WHERE request_id = ?1"});
      FLEET_TRY(bool const there, known.bind(1, request).step());
      if (i % 7 == 6) return Error{Kind::conflict, "meant", "this one fails, and its group goes on"};
      return there ? Result<void>{} : events::record(tx, {now_, "token:ci", "model.created", "model/m", {}, {}, std::string(300, 'r'), request});
    };
    store_->write(lane_of(i), job, [this, request, &waiting](Result<void> const& done) {
      if (done) acknowledge({request, [request](Server& server) { return server.has_entry(request) ? "" : "its entry is not there"; }});
      else if (done.error().code != "meant") fault(fmt::format("{}: {}", request, done.error().detail));
      waiting.done();
    });
  }
  queued.unlock();
  waiting.wait();
}

void Server::collect() {
  acknowledge({"a collection", {}});
  for (Digest after{};;) {
    auto const step = store_->write_value<blobs::Collection>(store::Lane::upkeep, [&](store::Tx& tx) { return blobs::collect_garbage(tx, *blobs_, after, now_); });
    if (!step) return fault("a collection: " + step.error().detail);
    if (!step->more) return;
    after = step->after;
  }
}

bool Server::holds_blob(std::string const& content) {
  auto const digest = crypto::sha256(content);
  auto row = store_->reader().prepare(blobs::kGetBlob);
  auto const found = row.bind(1, digest).step();
  auto const bytes = fs_->read(blobs::blob_path(dir_, digest), kBlobMax);
  return found && *found && bytes && *bytes == content;
}

std::uint64_t Server::received(std::string const& content, std::string const& actor) {
  if (holds_blob(content)) return content.size();
  auto row = store_->reader().prepare(blobs::kOpenUploadOf);
  auto const found = row.bind_all(crypto::sha256(content), static_cast<std::int64_t>(content.size()), actor).step();
  if (!found || !*found) return 0;
  auto const there = static_cast<std::uint64_t>(row.int64(3));
  // Between the move and its row the bytes are among the blobs.
  for (auto const& path : {blobs::upload_path(dir_, row.text(0)), blobs::blob_path(dir_, crypto::sha256(content))})
    if (auto const bytes = fs_->read(path, kBlobMax); bytes && bytes->substr(0, there) == content.substr(0, there)) return there;
  return 0;
}

bool Server::has_entry(std::string const& request) {
  auto row = store_->reader().prepare({"crash_entry", "SELECT 1 FROM audit WHERE request_id = ?1"});
  auto const found = row.bind(1, request).step();
  return found && *found;
}

void Server::check_rows(std::vector<std::string>& out) {
  auto rows = store_->reader().prepare(blobs::kAllBlobs);
  for (;;) {
    auto const row = rows.step();
    if (!row) return out.push_back("blobs cannot be read: " + row.error().detail);
    if (!*row) return;
    auto const digest = rows.digest(0);
    auto const bytes = fs_->read(blobs::blob_path(dir_, digest), kBlobMax);
    if (!bytes) out.push_back(fmt::format("blob {:.8} has a row and no file", digest.hex()));
    else if (crypto::sha256(*bytes) != digest) out.push_back(fmt::format("blob {:.8} has other bytes", digest.hex()));
  }
}

std::vector<std::string> Server::check() {
  std::vector<std::string> out;
  auto const findings = sqlite::check(store_->reader());
  for (auto const& one : findings ? *findings : std::vector<std::string>{findings.error().detail}) out.push_back("the database: " + one);
  if (auto const chain = events::verify(store_->reader(), std::nullopt); !chain) out.push_back("the audit log: " + chain.error().detail);
  check_rows(out);
  return out;
}

std::vector<std::string> Server::check_told(std::vector<Fact> const& told) {
  std::vector<std::string> out;
  for (auto fact = told.rbegin(); fact != told.rend() && fact->broken; ++fact)
    if (auto const broken = fact->broken(*this); !broken.empty()) out.push_back(fmt::format("{} was acknowledged: {}", fact->name, broken));
  return out;
}

std::vector<std::string> Server::check_end() {
  pass(kEver);
  upload("the last one", "token:last");  // which drops what was forgotten
  for (int i = 0; i < 3; ++i) {
    collect();
    pass(kEver);
  }
  auto out = check();
  auto const names = fs_->list(dir_ + "/uploads");
  for (auto const& name : names ? *names : std::vector<std::string>{})
    if (!blobs::load_upload(store_->reader(), name)) out.push_back(fmt::format("uploads/{} is there, and nobody knows of it", name));
  return out;
}

}  // namespace fleet::crash
