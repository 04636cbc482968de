#include "server/telemetry/sketches.hpp"

#include <fmt/format.h>

#include <charconv>

namespace fleet::telemetry {
namespace {

template <class T>
bool read_number(std::string_view& text, T& value) {
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool skip(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string encode_buckets(std::map<int, std::int64_t> const& buckets) {
  std::string text = "{";
  for (auto const& [key, count] : buckets) text += fmt::format("{}\"{}\":{}", text.size() > 1 ? "," : "", key, count);
  return text + "}";
}

Result<std::map<int, std::int64_t>> decode_buckets(std::string_view json) {
  std::map<int, std::int64_t> buckets;
  auto text = json;
  bool sound = skip(text, '{');
  while (sound && !text.empty() && text.front() != '}') {
    int key = 0;
    std::int64_t count = 0;
    sound = (buckets.empty() || skip(text, ',')) && skip(text, '"') && read_number(text, key) && skip(text, '"') && skip(text, ':') && read_number(text, count);
    buckets[key] = count;
  }
  if (sound && text == "}") return buckets;
  return Error{Kind::corrupt, "bad_sketch", fmt::format("a stored sketch is no list of buckets: {}", json.substr(0, 80)), "restore a backup"};
}

}  // namespace fleet::telemetry
