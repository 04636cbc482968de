#include "core/content/encode/match.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <tuple>

namespace fleet::content {
namespace {

using tensors::Tensor;

constexpr std::size_t kSamples = 8, kSampleBytes = 288;  // whole records of most types
constexpr std::size_t kCandidatesMax = 64;
/// Of what its integers take, the part that the differences of a sample take: more alike than this needs no look at others, less alike is no base.
constexpr double kAlike = 0.6, kUnlike = 0.9;

struct Candidate {
  std::uint32_t file = 0, index = 0;
  Tensor const* tensor = nullptr;
};
/// Two tensors whose elements can be subtracted one by one.
using Shape = std::tuple<tensors::Type, std::uint64_t, std::vector<std::uint64_t>>;
Shape shape_of(Tensor const& tensor) { return {tensor.type, tensor.length, tensor.shape}; }

/// Some bytes of a tensor, at the same places for all of one length, each a record's beginning.
Result<Bytes> sample(Source& source, Tensor const& tensor, std::uint64_t length) {
  auto const record = tensors::record_bytes(tensor.type);
  length = length / record * record;
  Bytes out;
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < kSamples; ++i) {
    auto const at = std::max(end, length / kSamples * i / record * record);
    auto const size = std::min<std::uint64_t>(std::max<std::uint64_t>(kSampleBytes / record, 1) * record, length - std::min(length, at));
    if (size == 0) break;
    auto const before = out.size();
    out.resize(before + static_cast<std::size_t>(size));
    FLEET_CHECK(source.read(tensor.offset + at, std::span(out).subspan(before)));
    end = at + size;
  }
  return out;
}

/// Bits that differences of two samples take, as a part of what the integers take.
double unlikeness(BytesView a, BytesView b, tensors::Type type) {
  auto const& fields = tensors::record_of(type);
  double bits = 0;
  std::size_t at = 0, whole = 0;
  while (at < a.size())
    for (auto const& field : fields)
      for (unsigned i = 0; i < field.count && at + field.width <= a.size(); ++i, at += field.width) {
        std::uint64_t x = 0, y = 0;
        std::memcpy(&x, a.data() + at, field.width);
        std::memcpy(&y, b.data() + at, field.width);
        bits += static_cast<double>(std::bit_width(std::min((x - y) << (64 - 8 * field.width), (y - x) << (64 - 8 * field.width)) >> (64 - 8 * field.width)));
        whole += 8U * field.width;
      }
  return whole == 0 ? 1 : bits / static_cast<double>(whole);
}

class Matcher {
public:
  explicit Matcher(std::vector<Base> const& bases) : bases_(&bases) {
    for (std::uint32_t f = 0; f < bases.size(); ++f) {
      if (bases[f].tensors == nullptr) continue;
      for (std::uint32_t i = 0; i < bases[f].tensors->size(); ++i) {
        auto const& tensor = (*bases[f].tensors)[i];
        if (tensor.offset > bases[f].source->size() || tensor.length > bases[f].source->size() - tensor.offset) continue;
        by_shape_[shape_of(tensor)].push_back({f, i, &tensor});
        if (!tensor.name.empty()) by_name_[tensor.name].push_back({f, i, &tensor});
      }
    }
  }

  /// @param index  the tensor's place in its file's order
  Result<std::optional<Candidate>> find(Source& target, Tensor const& tensor, std::uint32_t index) {
    std::optional<Candidate> best;
    double best_score = kUnlike;
    FLEET_TRY(auto const wanted, sample(target, tensor, tensor.length));
    auto const look = [&](Candidate const& candidate) -> Result<void> {
      FLEET_TRY(auto const* const known, sample_of(candidate));
      auto const score = unlikeness(wanted, *known, tensor.type);
      if (score < best_score) {
        best_score = score;
        best = candidate;
      }
      return {};
    };
    if (auto const named = by_name_.find(tensor.name); named != by_name_.end())
      for (auto const& candidate : named->second)
        if (shape_of(*candidate.tensor) == shape_of(tensor)) FLEET_CHECK(look(candidate));
    if (best && best_score < kAlike) return best;
    auto const same = by_shape_.find(shape_of(tensor));
    if (same == by_shape_.end()) return best;
    for (auto const& candidate : nearest(same->second, index)) {
      FLEET_CHECK(look(candidate));
      if (best_score == 0) break;
    }
    return best;
  }

  /// A tensor of the same name and type that is longer or shorter: rows were added or taken.
  [[nodiscard]] std::optional<Candidate> find_resized(Tensor const& tensor) const {
    auto const named = by_name_.find(tensor.name);
    if (named == by_name_.end()) return {};
    for (auto const& candidate : named->second)
      if (candidate.tensor->type == tensor.type && candidate.tensor->shape.size() == tensor.shape.size() && !tensor.shape.empty() &&
          std::equal(tensor.shape.begin() + 1, tensor.shape.end(), candidate.tensor->shape.begin() + 1))
        return candidate;
    return {};
  }

private:
  static std::vector<Candidate> nearest(std::vector<Candidate> all, std::uint32_t index) {
    auto const distance = [&](Candidate const& one) { return one.index > index ? one.index - index : index - one.index; };
    std::stable_sort(all.begin(), all.end(), [&](Candidate const& a, Candidate const& b) { return distance(a) < distance(b); });
    if (all.size() > kCandidatesMax) all.resize(kCandidatesMax);
    return all;
  }
  Result<Bytes const*> sample_of(Candidate const& candidate) {
    auto const [at, is_new] = samples_.try_emplace({candidate.file, candidate.index});
    if (is_new) {
      FLEET_TRY(at->second, sample(*(*bases_)[candidate.file].source, *candidate.tensor, candidate.tensor->length));
    }
    return &at->second;
  }

  std::vector<Base> const* bases_;
  std::map<Shape, std::vector<Candidate>> by_shape_;
  std::map<std::string, std::vector<Candidate>> by_name_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Bytes> samples_;
};

/// Between tensors: as the neighbour before, or else behind, moved; as far as the base reaches.
void place_gaps(std::vector<Region>& regions, std::vector<Base> const& bases) {
  for (std::size_t i = 0; i < regions.size(); ++i) {
    auto& gap = regions[i];
    if (gap.from || gap.type != tensors::Type::bytes) continue;
    Region const* neighbour = i > 0 && regions[i - 1].from ? &regions[i - 1] : i + 1 < regions.size() && regions[i + 1].from ? &regions[i + 1] : nullptr;
    if (neighbour == nullptr) continue;
    auto const moved = static_cast<std::int64_t>(neighbour->from->offset) - static_cast<std::int64_t>(neighbour->offset);
    auto const at = static_cast<std::int64_t>(gap.offset) + moved;
    auto const& file = bases[neighbour->from->file].file;
    if (at >= 0 && static_cast<std::uint64_t>(at) + gap.length <= file.size) gap.from = Region::From{neighbour->from->file, static_cast<std::uint64_t>(at)};
  }
}

}  // namespace

Result<std::vector<Region>> match_regions(Source& target, std::vector<Tensor> const& target_tensors, std::vector<Base> const& bases) {
  Matcher matcher(bases);
  std::vector<Region> out;
  std::uint64_t at = 0;
  auto const put = [&](std::uint64_t end, tensors::Type type, std::optional<Region::From> from) {
    if (end > at) out.push_back({at, end - at, type, from});
    at = std::max(at, end);
  };
  for (std::uint32_t i = 0; i < target_tensors.size(); ++i) {
    auto const& tensor = target_tensors[i];
    auto const record = tensors::record_bytes(tensor.type);
    auto const length = tensor.length / record * record;
    if (tensor.offset < at || tensor.offset > target.size() || tensor.length > target.size() - tensor.offset || length == 0) continue;
    put(tensor.offset, tensors::Type::bytes, {});
    FLEET_TRY(auto const found, matcher.find(target, tensor, i));
    if (found) {
      put(at + length, tensor.type, Region::From{found->file, found->tensor->offset});
    } else if (auto const resized = matcher.find_resized(tensor)) {
      put(at + std::min(length, resized->tensor->length / record * record), tensor.type, Region::From{resized->file, resized->tensor->offset});
      put(tensor.offset + length, tensor.type, {});
    } else {
      put(at + length, tensor.type, {});
    }
  }
  put(target.size(), tensors::Type::bytes, {});
  place_gaps(out, bases);
  return out;
}

}  // namespace fleet::content
