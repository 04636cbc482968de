#include "agent/store/journal.hpp"

namespace fleet::agent {
namespace {

constexpr std::uint64_t kBytesMax = 4 * 1024 * 1024;
constexpr std::uint64_t kCompactAt = 256 * 1024;
constexpr std::uint64_t kRoom = 64 * 1024;

}  // namespace

Result<Journal::Opened> Journal::open(Fs& fs, std::string const& path) {
  Journal journal(fs, path);
  bool strange = false;
  auto const take = [&](std::string_view text) {
    auto state = decode_model_state(text);
    if (state) journal.models_.insert_or_assign(state->model, std::move(*state));
    else strange = true;
  };
  bool const was_there = fs.info(path).has_value();
  FLEET_TRY(auto opened, RecordFile::open(fs, path, kBytesMax, take));
  journal.file_ = std::move(opened.file);
  journal.keep_room();
  bool const empty = was_there && journal.models_.empty();
  return Opened{std::move(journal), opened.damaged || strange || empty};
}

std::map<std::string, ModelState> Journal::models() const {
  std::lock_guard const lock(*mutex_);
  return models_;
}

ModelState Journal::state(std::string const& model) const {
  std::lock_guard const lock(*mutex_);
  if (auto const found = models_.find(model); found != models_.end()) return found->second;
  ModelState fresh;
  fresh.model = model;
  return fresh;
}

Result<void> Journal::save(ModelState const& state) {
  std::lock_guard const lock(*mutex_);
  auto models = models_;
  models.insert_or_assign(state.model, state);
  if (!file_ || file_->is_spoilt() || file_->is_read_only()) {  // the disk may take it by now
    FLEET_CHECK(rewrite(models));
  } else if (auto const appended = file_->append(encode(state), true); !appended) {
    if (!file_->is_spoilt()) return appended;
    FLEET_CHECK(rewrite(models));
  }
  models_ = std::move(models);
  keep_room();
  if (file_->size() < kCompactAt) return {};
  // A disk that is full may have room later; until then the file goes on growing, into the room that it has.
  auto const shortened = rewrite(models_);
  return shortened || shortened.error().code == "disk_full" ? Result<void>{} : shortened;
}

Result<void> Journal::rewrite(std::map<std::string, ModelState> const& models) {
  std::string content;
  for (auto const& [model, state] : models) content += RecordFile::line_of(encode(state));
  FLEET_CHECK(fs_->replace(path_, content, 0600));
  file_.reset();
  FLEET_TRY(auto opened, RecordFile::open(*fs_, path_, kBytesMax, [](std::string_view) {}));
  file_ = std::move(opened.file);
  room_until_ = 0;
  keep_room();
  return {};
}

/// What it cannot have now it gets after a later record.
void Journal::keep_room() {
  if (file_->size() + kRoom / 2 < room_until_) return;
  if (file_->reserve(kRoom)) room_until_ = file_->size() + kRoom;
}

}  // namespace fleet::agent
