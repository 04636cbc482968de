#include "server/telemetry/clickhouse/row_binary.hpp"

#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

namespace fleet::clickhouse {
namespace {

static_assert(std::endian::native == std::endian::little, "RowBinary is little endian");

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void put_length(std::string& out, std::size_t length) {
  for (; length >= 0x80; length >>= 7) out.push_back(static_cast<char>(0x80 | (length & 0x7f)));
  out.push_back(static_cast<char>(length));
}

void put_text(std::string& out, std::string_view text) {
  put_length(out, text.size());
  out.append(text);
}

void put_buckets(std::string& out, Buckets const& buckets) {
  put_length(out, buckets.size());
  for (auto const& [key, count] : buckets) put(out, static_cast<std::int32_t>(key));
  put_length(out, buckets.size());
  for (auto const& [key, count] : buckets) put(out, static_cast<std::uint64_t>(count));
}

enum class Got { whole, part, bad };

/// Reads values as long as they are whole, and none that is longer than any of ours.
struct Values {
  std::string_view rest;
  Got got = Got::whole;

  bool stop(Got why) {
    if (got == Got::whole) got = why;
    return false;
  }
  template <class T>
  bool take(T& value) {
    if (got != Got::whole) return false;
    if (rest.size() < sizeof value) return stop(Got::part);
    std::memcpy(&value, rest.data(), sizeof value);
    rest.remove_prefix(sizeof value);
    return true;
  }
  bool take_length(std::size_t& value, std::size_t most) {
    value = 0;
    for (int shift = 0; shift < 28; shift += 7) {
      std::uint8_t byte = 0;
      if (!take(byte)) return false;
      value |= static_cast<std::size_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value <= most || stop(Got::bad);
    }
    return stop(Got::bad);
  }
  bool take(std::string& text) {
    std::size_t length = 0;
    if (!take_length(length, kTextBytesMax)) return false;
    if (rest.size() < length) return stop(Got::part);
    text = rest.substr(0, length);
    rest.remove_prefix(length);
    return true;
  }
  bool take(Buckets& buckets) {
    std::size_t keys = 0, counts = 0;
    if (!take_length(keys, kBucketsMax)) return false;
    if (rest.size() < keys * sizeof(std::int32_t)) return stop(Got::part);
    Values of_keys{rest.substr(0, keys * sizeof(std::int32_t))};
    rest.remove_prefix(keys * sizeof(std::int32_t));
    if (!take_length(counts, kBucketsMax)) return false;
    if (counts != keys) return stop(Got::bad);
    for (std::size_t i = 0; i < counts; ++i) {
      std::int32_t key = 0;
      std::uint64_t count = 0;
      if (!of_keys.take(key) || !take(count)) return false;
      if (count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return stop(Got::bad);
      buckets[key] += static_cast<std::int64_t>(count);
    }
    return true;
  }
};

}  // namespace

void append(std::string& out, Row const& row) {
  for (auto const* const text : {&row.metric, &row.model, &row.version, &row.hardware, &row.labels}) put_text(out, *text);
  put(out, row.start_s);
  put(out, row.flush);
  put(out, row.samples);
  for (double const value : {row.total, row.least, row.most}) put(out, value);
  put_buckets(out, row.buckets);
}

void Reader::feed(BytesView piece) {
  bytes_.erase(0, at_);
  at_ = 0;
  bytes_.append(as_text(piece));
}

template <class T, class F>
Result<std::optional<T>> Reader::whole(F&& read) {
  Values values{std::string_view(bytes_).substr(at_)};
  if (values.rest.empty()) return std::optional<T>();
  T out;
  read(values, out);
  if (values.got == Got::bad) return Error{Kind::corrupt, "bad_answer", "ClickHouse answered what is no row of ours", "is what answers a ClickHouse?"};
  if (values.got == Got::part) return std::optional<T>();
  at_ = bytes_.size() - values.rest.size();
  return std::optional(std::move(out));
}

Result<std::optional<Step>> Reader::step() {
  return whole<Step>([](Values& values, Step& out) {
    bool const texts = values.take(out.model) && values.take(out.version) && values.take(out.hardware) && values.take(out.labels);
    return texts && values.take(out.start_s) && values.take(out.samples) && values.take(out.total) && values.take(out.least) && values.take(out.most) &&
           values.take(out.buckets);
  });
}

Result<std::optional<Row>> Reader::row() {
  return whole<Row>([](Values& values, Row& out) {
    bool const texts = values.take(out.metric) && values.take(out.model) && values.take(out.version) && values.take(out.hardware) && values.take(out.labels);
    return texts && values.take(out.start_s) && values.take(out.flush) && values.take(out.samples) && values.take(out.total) && values.take(out.least) &&
           values.take(out.most) && values.take(out.buckets);
  });
}

Result<void> Reader::end() const {
  if (at_ == bytes_.size()) return {};
  return Error{Kind::corrupt, "bad_answer", "ClickHouse's answer ended within a row", "ask again"};
}

}  // namespace fleet::clickhouse
