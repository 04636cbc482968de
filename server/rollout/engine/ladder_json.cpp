#include "server/rollout/engine/membership.hpp"

#include "core/wire/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::rollout {
namespace json = boost::json;
namespace {

constexpr std::size_t kBytesMax = 64 * 1024 * 1024;

template <class Numbers>
json::array numbers(Numbers const& from) {
  json::array out;
  for (auto const one : from) out.emplace_back(static_cast<std::int64_t>(one));
  return out;
}

Error not_ours() { return {Kind::corrupt, "bad_row", "a rollout's ladder is not what this program wrote"}; }

template <class Number>
bool read(json::object const& from, std::string_view key, std::vector<Number>& out) {
  auto const* const value = from.if_contains(key);
  if (value == nullptr || !value->is_array()) return false;
  for (auto const& one : value->get_array()) {
    if (!one.is_int64()) return false;
    out.push_back(static_cast<Number>(one.get_int64()));
  }
  return true;
}

bool read(json::object const& from, std::string_view key, std::int64_t& out) {
  auto const* const value = from.if_contains(key);
  if (value == nullptr || !value->is_int64()) return false;
  out = value->get_int64();
  return true;
}

}  // namespace

std::string encode(Ladder const& ladder) {
  json::object strata;
  for (auto const& [name, thresholds] : ladder.thresholds) {
    json::object one{{"devices", ladder.sizes.at(name)}, {"thresholds", numbers(thresholds)}};
    if (auto const held = ladder.held_from.find(name); held != ladder.held_from.end()) one["held_from"] = held->second;
    strata[name] = std::move(one);
  }
  return json::serialize(json::object{{"counts", numbers(ladder.counts)},
                                      {"stage_size", numbers(ladder.stage_size)},
                                      {"stage_cap", numbers(ladder.stage_cap)},
                                      {"held", ladder.held},
                                      {"strata", std::move(strata)}});
}

Result<Ladder> decode_ladder(std::string_view text) {
  FLEET_TRY(auto const value, wire::parse_json(text, kBytesMax));
  if (!value.is_object()) return not_ours();
  auto const& from = value.get_object();
  Ladder out;
  if (!read(from, "counts", out.counts) || !read(from, "stage_size", out.stage_size) || !read(from, "stage_cap", out.stage_cap) || !read(from, "held", out.held))
    return not_ours();
  auto const* const strata = from.if_contains("strata");
  if (strata == nullptr || !strata->is_object()) return not_ours();
  for (auto const& member : strata->get_object()) {
    if (!member.value().is_object()) return not_ours();
    auto const& one = member.value().get_object();
    auto const name = std::string(member.key());
    std::int64_t held = 0;
    if (!read(one, "devices", out.sizes[name]) || !read(one, "thresholds", out.thresholds[name]) || out.thresholds[name].size() != out.counts.size()) return not_ours();
    if (read(one, "held_from", held)) out.held_from[name] = held;
  }
  return out;
}

}  // namespace fleet::rollout
