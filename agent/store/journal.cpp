#include "agent/store/journal.hpp"

namespace fleet::agent {
namespace {

constexpr std::uint64_t kBytesMax = 4 * 1024 * 1024;
constexpr std::uint64_t kCompactAt = 256 * 1024;

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
  if (file_->size() > kCompactAt) FLEET_CHECK(compact());
  FLEET_CHECK(file_->append(encode(state), true));
  models_.insert_or_assign(state.model, state);
  return {};
}

Result<void> Journal::compact() {
  std::string content;
  for (auto const& [model, state] : models_) content += RecordFile::line_of(encode(state));
  FLEET_CHECK(fs_->replace(path_, content, 0600));
  FLEET_TRY(auto opened, RecordFile::open(*fs_, path_, kBytesMax, [](std::string_view) {}));
  file_ = std::move(opened.file);
  return {};
}

}  // namespace fleet::agent
