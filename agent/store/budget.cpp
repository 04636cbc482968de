#include "agent/store/budget.hpp"

#include "core/base/log.hpp"

#include <charconv>

namespace fleet::agent {
namespace {

constexpr std::uint64_t kKeepEvery = 64 * 1024;

std::int64_t day_of(SysTime at) { return std::chrono::floor<std::chrono::days>(at).time_since_epoch().count(); }

}  // namespace

Budget::Budget(Fs& fs, std::string path, std::uint64_t per_day) : fs_(&fs), path_(std::move(path)), per_day_(per_day) {
  auto const text = per_day > 0 ? fs.read(path_, 64) : Result<std::string>(std::string());
  if (!text) return;
  auto const space = text->find(' ');
  if (space == std::string::npos) return;
  std::from_chars(text->data(), text->data() + space, day_);
  std::from_chars(text->data() + space + 1, text->data() + text->size(), used_);
  kept_ = used_;
}

bool Budget::is_spent(SysTime now) const { return per_day_ > 0 && day_of(now) == day_ && used_ >= per_day_; }

void Budget::use(std::uint64_t bytes, SysTime now) {
  if (per_day_ == 0) return;
  if (day_of(now) != day_) {
    day_ = day_of(now);
    used_ = kept_ = 0;
  }
  used_ += bytes;
  if (used_ - kept_ >= kKeepEvery || used_ >= per_day_) keep();
}

void Budget::keep() {
  kept_ = used_;
  // Without the file a restart allows the day's bytes once more: not worth failing for.
  if (auto const written = fs_->replace(path_, std::to_string(day_) + " " + std::to_string(used_)); !written)
    log::warn("budget.not_kept", {{"error", written.error().detail}});
}

}  // namespace fleet::agent
