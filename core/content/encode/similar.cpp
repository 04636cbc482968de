#include "core/content/encode/similar.hpp"

#include <algorithm>
#include <cstring>

namespace fleet::content {
namespace {

constexpr std::size_t kHashedBytes = 8, kCandidatesMax = 48;
constexpr unsigned kHashBits = 19;
/// So much better than going on as before must another place be.
constexpr std::size_t kAdvantageMin = 12;
constexpr std::uint32_t kNone = ~0U;

std::size_t hash_at(std::uint8_t const* at) {
  std::uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return static_cast<std::size_t>(value * 0x9e3779b97f4a7c15U >> (64 - kHashBits));
}

std::size_t common_length(BytesView a, BytesView b) {
  auto const size = std::min(a.size(), b.size());
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(size), b.begin()).first - a.begin());
}

/// All places of the base by the hash of their next eight bytes.
class Places {
public:
  explicit Places(BytesView base) : base_(base), heads_(std::size_t{1} << kHashBits, kNone), next_(base.size(), kNone) {
    // From the back, so that the nearest to the front comes first.
    if (base.size() < kHashedBytes) return;
    for (std::size_t i = base.size() - kHashedBytes + 1; i-- > 0;) {
      auto& head = heads_[hash_at(base.data() + i)];
      next_[i] = head;
      head = static_cast<std::uint32_t>(i);
    }
  }
  struct Found {
    std::size_t at = 0, length = 0;
  };
  /// The longest that is as `wanted` begins; of equally long ones the nearest to `near`.
  [[nodiscard]] Found longest(BytesView wanted, std::size_t near) const {
    Found best;
    if (wanted.size() < kHashedBytes) return best;
    std::size_t distance = 0;
    std::size_t tried = 0;
    for (auto i = heads_[hash_at(wanted.data())]; i != kNone && tried < kCandidatesMax; i = next_[i], ++tried) {
      if (best.length > 0 && (i + best.length >= base_.size() || base_[i + best.length] != wanted[std::min(best.length, wanted.size() - 1)])) {
        if (best.length < wanted.size()) continue;
      }
      auto const length = common_length(wanted, base_.subspan(i));
      auto const away = i > near ? i - near : near - i;
      if (length < best.length || (length == best.length && away >= distance)) continue;
      best = {i, length};
      distance = away;
    }
    return best;
  }

private:
  BytesView base_;
  std::vector<std::uint32_t> heads_, next_;
};

/// How far two stretches are alike, going forwards: to where matches less mismatches are the most.
template <class Same>
std::size_t alike(std::size_t limit, Same const& same) {
  std::size_t best = 0;
  std::ptrdiff_t score = 0, best_score = 0;
  for (std::size_t i = 0; i < limit; ++i) {
    score += same(i) ? 1 : -1;
    if (score <= best_score) continue;
    best_score = score;
    best = i + 1;
  }
  return best;
}

class Cutter {
public:
  Cutter(BytesView block, BytesView base) : block_(block), base_(base), places_(base) {}

  std::vector<Part> cut() {
    std::size_t scan = 0, scored = 0, score = 0;
    while (scan < block_.size()) {
      Places::Found found;
      score = 0;
      scored = scan;
      for (; scan < block_.size(); ++scan) {
        found = places_.longest(block_.subspan(scan), clamp(scan));
        // How much of the same bytes is as the alignment before has it.
        for (; scored < scan + found.length; ++scored) score += as_before(scored) ? 1U : 0U;
        if ((found.length == score && found.length != 0) || found.length > score + kAdvantageMin) break;
        if (scored > scan) score -= as_before(scan) ? 1U : 0U;
        else ++scored;
      }
      if (found.length == score && scan < block_.size()) {
        scan += std::max<std::size_t>(found.length, 1);
        continue;
      }
      turn(scan, found.at);
      scan = std::min(block_.size(), scan + found.length);
    }
    if (last_ < block_.size()) turn(block_.size(), 0);
    return std::move(parts_);
  }

private:
  /// Where a place of the block would be in the base, if nothing had moved since the last turn.
  [[nodiscard]] std::size_t clamp(std::size_t at) const { return std::min(base_.size(), last_base_ + (at - last_)); }
  [[nodiscard]] bool as_before(std::size_t at) const {
    auto const i = last_base_ + (at - last_);
    return i < base_.size() && base_[i] == block_[at];
  }

  /// Ends the alignment since the last turn and begins another, in which the block's `to` is the base's `base_to`.
  void turn(std::size_t to, std::size_t base_to) {
    auto forward = alike(std::min(to - last_, base_.size() - last_base_), [&](std::size_t i) { return block_[last_ + i] == base_[last_base_ + i]; });
    std::size_t backward = 0;
    if (to < block_.size()) backward = alike(std::min(to - last_, base_to), [&](std::size_t i) { return block_[to - 1 - i] == base_[base_to - 1 - i]; });
    if (forward + backward > to - last_) split(to, base_to, forward, backward);
    put(kDifferentGroup, forward, last_base_);
    put(kOwnGroup, to - backward - last_ - forward, 0);
    last_ = to - backward;
    last_base_ = base_to - backward;
  }
  /// Both claim the same bytes: cut where the most are right.
  void split(std::size_t to, std::size_t base_to, std::size_t& forward, std::size_t& backward) const {
    auto const both = forward + backward - (to - last_);
    std::ptrdiff_t score = 0, best_score = 0;
    std::size_t best = 0;
    for (std::size_t i = 0; i < both; ++i) {
      auto const at = last_ + forward - both + i;
      score += (block_[at] == base_[last_base_ + (at - last_)] ? 1 : 0) - (block_[at] == base_[base_to - (to - at)] ? 1 : 0);
      if (score <= best_score) continue;
      best_score = score;
      best = i + 1;
    }
    forward -= both - best;
    backward -= best;
  }
  void put(std::uint32_t group, std::size_t length, std::size_t base) {
    if (length == 0) return;
    parts_.push_back({group, static_cast<std::uint32_t>(length), static_cast<std::uint32_t>(offset_), static_cast<std::uint32_t>(base)});
    offset_ += length;
  }

  BytesView block_, base_;
  Places places_;
  std::vector<Part> parts_;
  std::size_t last_ = 0, last_base_ = 0, offset_ = 0;
};

}  // namespace

std::vector<PartGroup> similar_groups() { return {{true, false, {{1, 1}}}, {false, false, {{1, 1}}}}; }

std::vector<Part> similar_parts(BytesView block, BytesView base) { return Cutter(block, base).cut(); }

}  // namespace fleet::content
