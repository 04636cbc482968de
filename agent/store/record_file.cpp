#include "agent/store/record_file.hpp"

#include "core/crypto/hash.hpp"

namespace fleet::agent {
namespace {

constexpr std::size_t kSumHex = 16;

}  // namespace

std::optional<std::string_view> RecordFile::text_of(std::string_view line) {
  if (line.size() <= kSumHex || line[kSumHex] != ' ') return std::nullopt;
  auto const text = line.substr(kSumHex + 1);
  if (crypto::sha256(text).hex().compare(0, kSumHex, line.substr(0, kSumHex)) != 0) return std::nullopt;
  return text;
}

std::string RecordFile::line_of(std::string_view text) {
  auto line = crypto::sha256(text).hex().substr(0, kSumHex);
  line += ' ';
  line += text;
  line += '\n';
  return line;
}

Result<RecordFile::Opened> RecordFile::open(Fs& fs, std::string const& path, std::uint64_t limit_bytes, std::function<void(std::string_view)> const& each) {
  bool const fresh = !fs.info(path).has_value();
  auto file = fs.open(path, Fs::Mode::append_or_create, 0600);
  bool const read_only = !file && file.error().code == "read_only" && !fresh;
  if (!file && !read_only) return file.error();
  if (fresh) FLEET_CHECK(fs.sync_dir(path.substr(0, path.find_last_of('/'))));
  FLEET_TRY(auto const content, fs.read(path, limit_bytes));
  std::size_t good = 0;
  bool damaged = false;
  while (good < content.size()) {
    auto const end = content.find('\n', good);
    auto const text = end == std::string::npos ? std::nullopt : text_of(std::string_view(content).substr(good, end - good));
    if (!text) {
      damaged = end != std::string::npos && end + 1 < content.size();
      break;
    }
    each(*text);
    good = end + 1;
  }
  // What cannot be cut off here is left behind by the next record, in a file that is written anew.
  bool const torn = good < content.size() && !read_only && (!(*file)->truncate(good) || !(*file)->sync());
  Opened out;
  out.file.reset(read_only ? new RecordFile(nullptr, file.error(), good) : new RecordFile(*std::move(file), std::nullopt, good));
  out.file->spoilt_ = torn;
  out.damaged = damaged;
  return out;
}

Result<void> RecordFile::append(std::string_view text, bool sync) {
  if (!file_) return *read_only_;
  if (spoilt_) return Error{Kind::io, "must_be_rewritten", "an earlier write did not reach the disk"};
  auto const line = line_of(text);
  if (auto const written = file_->write_at(size_, as_bytes(line)); !written) {
    // Half a line must not stand before the next one.
    if (auto const cut = file_->truncate(size_); !cut) return cut.error();
    return written.error();
  }
  size_ += line.size();
  return sync ? this->sync() : Result<void>{};
}

Result<void> RecordFile::sync() {
  if (!file_) return *read_only_;
  auto const synced = file_->sync();
  spoilt_ = spoilt_ || !synced;
  return synced;
}

}  // namespace fleet::agent
