#include "agent/delivery/stretch.hpp"

#include "core/base/log.hpp"
#include "core/crypto/hash.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {
namespace {

using content::Block;

constexpr std::size_t kPiecesMax = 256;
constexpr std::uint32_t kGapMax = 64 * 1024;            ///< bytes that nobody needs, between two ranges of one request
constexpr std::uint64_t kSkipMax = 4 * 1024 * 1024;     ///< of an answer that is the whole object, before the range

void lessen(std::atomic<std::uint64_t>& left, std::uint64_t bytes) { left -= std::min(left.load(), bytes); }

/// A range of an object as it arrives, whoever sends it: its head, of an answer with the whole object, is sliced off, and so is what follows.
class RangeSink {
public:
  RangeSink(Fetcher const& with, Range const& range, std::atomic<std::uint64_t>& left) : with_(with), range_(range), left_(left) {}
  /// What of a piece is the range's.
  Result<BytesView> take(net::ClientResponse const& head, BytesView piece) {
    if (!started_) {
      started_ = true;
      skip_ = head.status == 200 ? range_.from : 0;
      if (skip_ > kSkipMax) return Error{Kind::unavailable, "no_ranges", "the source sends the whole object for a range of it"};
    }
    if (with_.may_go_on) FLEET_CHECK(with_.may_go_on(false));
    FLEET_CHECK(with_.throttle.take(piece.size(), with_.stop));
    auto const cut = std::min<std::uint64_t>(skip_, piece.size());
    skip_ -= cut;
    piece = piece.subspan(static_cast<std::size_t>(cut));
    piece = piece.first(static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), range_.to - range_.from - come_)));
    come_ += piece.size();
    lessen(left_, piece.size());
    return piece;
  }

private:
  Fetcher const& with_;
  Range const& range_;
  std::atomic<std::uint64_t>& left_;
  std::uint64_t skip_ = 0, come_ = 0;
  bool started_ = false;
};

Result<void> ask(Fetcher const& with, std::string const& source, Range const& range, std::atomic<std::uint64_t>& left, std::function<Result<void>(BytesView)> const& take) {
  RangeSink sink(with, range, left);
  auto const got = with.remote.fetch(source, "/blobs/sha256/" + range.object.hex(), {range.from, range.size, range.to}, [&](net::ClientResponse const& head, BytesView piece) -> Result<void> {
    FLEET_TRY(auto const ours, sink.take(head, piece));
    return take(ours);
  });
  if (with.stop) return interrupted();
  return got ? Result<void>{} : got.error();
}

Error cut_short(Range const& range, std::uint64_t at) {
  return {Kind::unavailable, "network", fmt::format("object {} ended at {}, expected {}", range.object.hex(), at, range.to)};
}

class StretchFetch {
public:
  StretchFetch(Fetcher const& with, Stretch const& stretch, std::function<Result<void>(Piece const&, BytesView)> const& write) : with_(with), stretch_(stretch), write_(write), assembler_(stretch.key) {}

  Result<std::vector<Piece>> run() {
    FLEET_CHECK(make_free());
    if (next_ < stretch_.pieces.size()) {
      auto const got = ask_sources(with_, what(), [this] { return std::uint64_t{next_}; }, [this](std::string const& source) { return ask_one(source); });
      bool const nowhere = !got && !with_.stop && (is_lie(got.error()) || got.error().kind == Kind::not_found);
      if (!got && !nowhere) return got.error();
    }
    // An object that is nowhere, or bad everywhere: what needs it is fetched otherwise.
    while (next_ < stretch_.pieces.size()) {
      as_is_.push_back(stretch_.pieces[next_++]);
      FLEET_CHECK(make_free());
    }
    return std::move(as_is_);
  }

private:
  [[nodiscard]] content::Segment const& segment() const { return stretch_.segments[stretch_.pieces[next_].block.stored->segment]; }
  [[nodiscard]] std::string what() const { return segment().sha256.hex(); }

  /// Blocks that need nothing sent, up to the next that does.
  Result<void> make_free() {
    while (next_ < stretch_.pieces.size() && !stretch_.pieces[next_].block.stored) FLEET_CHECK(make({}));
    return {};
  }

  Result<void> ask_one(std::string const& source) {
    std::uint64_t to = 0;
    for (auto const& piece : stretch_.pieces)
      if (piece.block.stored) to = std::uint64_t{piece.block.stored->offset} + piece.block.stored->length;
    Range const range{segment().sha256, stretch_.pieces[next_].block.stored->offset, to, segment().size};
    at_ = range.from;
    held_.clear();
    FLEET_CHECK(ask(with_, source, range, stretch_.left, [this](BytesView piece) { return take(piece); }));
    return next_ == stretch_.pieces.size() ? Result<void>{} : cut_short(range, at_ + held_.size());
  }

  Result<void> take(BytesView bytes) {
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    while (next_ < stretch_.pieces.size()) {
      auto const& stored = *stretch_.pieces[next_].block.stored;
      auto const begin = static_cast<std::size_t>(stored.offset - at_);
      if (held_.size() < begin + stored.length) return {};
      FLEET_CHECK(make(BytesView(held_).subspan(begin, stored.length)));
      held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(begin + stored.length));
      at_ = std::uint64_t{stored.offset} + stored.length;
      FLEET_CHECK(make_free());
    }
    return {};
  }

  /// The next block; what cannot be made is noted. @errors unprocessable (`stored_mismatch`: the source lies), what writing says
  Result<void> make(BytesView stored) {
    auto const& piece = stretch_.pieces[next_];
    FLEET_TRY(auto const made, assemble(piece.block, stored));
    if (!made) as_is_.push_back(piece);
    if (made) FLEET_CHECK(write_(piece, *made));
    ++next_;
    return {};
  }

  Result<std::optional<BytesView>> assemble(Block const& block, BytesView stored) {
    std::vector<content::Source*> places;
    if (block.base)
      for (auto const& one : stretch_.bases[block.base->file]) places.push_back(one.get());
    if (places.empty()) places.push_back(nullptr);
    for (auto* const place : places) {
      auto const made = assembler_.assemble(block, stored, place);
      if (made) return std::optional(*made);
      if (made.error().code == "stored_mismatch") return made.error();
      log::info("download.block_failed", {{"offset", block.offset}, {"code", made.error().code}, {"error", made.error().detail}});
    }
    return std::optional<BytesView>{};
  }

  Fetcher const& with_;
  Stretch const& stretch_;
  std::function<Result<void>(Piece const&, BytesView)> const& write_;
  content::Assembler assembler_;
  std::vector<Piece> as_is_;
  std::size_t next_ = 0;
  std::uint64_t at_ = 0;  ///< in the object, where held_ begins
  Bytes held_;
};

}  // namespace

bool fits(std::vector<Piece> const& batch, Block const& block) {
  if (batch.empty() || !block.stored) return batch.size() < kPiecesMax;
  auto const last = std::find_if(batch.rbegin(), batch.rend(), [](Piece const& piece) { return piece.block.stored.has_value(); });
  if (last == batch.rend()) return batch.size() < kPiecesMax;
  auto const& before = *last->block.stored;
  auto const end = before.offset + before.length;
  bool const follows = before.segment == block.stored->segment && block.stored->offset >= end && block.stored->offset - end <= kGapMax;
  return follows && batch.size() < kPiecesMax;
}

Result<std::vector<Piece>> fetch_stretch(Fetcher const& with, Stretch const& stretch, std::function<Result<void>(Piece const&, BytesView)> const& write) {
  return StretchFetch(with, stretch, write).run();
}

Result<void> fetch_range(Fetcher const& with, Range const& range, Digest const& sha256, std::atomic<std::uint64_t>& left, Bytes& out) {
  auto const take = [&out](BytesView piece) -> Result<void> {
    out.insert(out.end(), piece.begin(), piece.end());
    return {};
  };
  auto const ask_one = [&](std::string const& source) -> Result<void> {
    out.clear();
    FLEET_CHECK(ask(with, source, range, left, take));
    if (out.size() != range.to - range.from) return cut_short(range, range.from + out.size());
    if (crypto::sha256(out) == sha256) return {};
    return Error{Kind::unprocessable, "digest_mismatch", fmt::format("object {} has other bytes from {} to {} than the recipe says", range.object.hex(), range.from, range.to)};
  };
  return ask_sources(with, range.object.hex(), [&out] { return std::uint64_t{out.size()}; }, ask_one);
}

}  // namespace fleet::agent
