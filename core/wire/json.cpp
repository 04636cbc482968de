#include "core/wire/json.hpp"

#include "core/base/json_text.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fleet::wire {
namespace json = boost::json;
namespace {

std::string_view kind_name(json::value const& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_: return "a number";
    case json::kind::string: return "a text";
    case json::kind::array: return "a list";
    case json::kind::object: return "an object";
  }
  return "something else";
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      auto const replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

/// What a parsed text turned out to hold.
struct Census {
  std::size_t members = 0;
  bool finite = true;
  bool nul = false;

  void take(json::value const& value) {
    if (auto const* const object = value.if_object())
      for (auto const& member : *object) {
        ++members;
        nul = nul || member.key().find('\0') != std::string_view::npos;
        take(member.value());
      }
    if (auto const* const text = value.if_string()) nul = nul || text->find('\0') != std::string_view::npos;
    if (auto const* const array = value.if_array())
      for (auto const& item : *array) take(item);
    if (auto const* const number = value.if_double()) finite = finite && std::isfinite(*number);
  }
};

}  // namespace

Result<json::value> parse_json(std::string_view text, std::size_t limit_bytes) {
  if (text.size() > limit_bytes) return Error{Kind::too_large, "too_large", fmt::format("{} bytes of JSON, at most {} are taken", text.size(), limit_bytes)};
  boost::system::error_code fault;
  json::parse_options options;
  options.max_depth = 32;
  json::stream_parser parser({}, options);
  auto const used = parser.write_some(text.data(), text.size(), fault);
  if (!fault) parser.finish(fault);
  if (fault) return Error{Kind::bad_input, "bad_json", fmt::format("not JSON at byte {}: {}", used, fault.message())};
  if (text.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    return Error{Kind::bad_input, "bad_json", fmt::format("something follows the JSON at byte {}", used)};
  auto value = parser.release();
  Census found;
  found.take(value);
  if (count_json_members(text.substr(0, used)) != found.members) return Error{Kind::bad_input, "duplicate_key", "an object has the same key twice"};
  if (found.nul) return Error{Kind::bad_input, "nul_in_text", "a text holds the character U+0000, which no name or text may have"};
  if (!found.finite) return Error{Kind::bad_input, "bad_number", "a number is too large to be kept (beyond 1.8e308)"};
  return value;
}

ObjectReader::ObjectReader(json::value const& value, std::string pointer, std::vector<FieldError>& faults)
    : object_(value.if_object()), pointer_(std::move(pointer)), faults_(&faults) {
  if (object_ == nullptr) faults_->push_back({pointer_, fmt::format("expected an object, got {}", kind_name(value))});
}

std::string ObjectReader::pointer(std::string_view key) const {
  std::string out = pointer_ + "/";
  for (char const c : key) {
    if (c == '~') out += "~0";
    else if (c == '/') out += "~1";
    else out += c;
  }
  return out;
}

void ObjectReader::fault(std::string_view key, std::string detail) { faults_->push_back({key.empty() ? pointer_ : pointer(key), std::move(detail)}); }

json::value const* ObjectReader::find(std::string_view key) {
  asked_.push_back(key);
  auto const* const value = object_ == nullptr ? nullptr : object_->if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string ObjectReader::text(std::string_view key, std::size_t max, std::string fallback) {
  auto const* const value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) {
    fault(key, fmt::format("expected a text, got {}", kind_name(*value)));
    return fallback;
  }
  auto const& text = value->get_string();
  if (text.size() > max) {
    fault(key, fmt::format("longer than {} bytes", max));
    return fallback;
  }
  return std::string(text);
}

std::string ObjectReader::required_text(std::string_view key, std::size_t max) {
  auto const before = faults_->size();
  auto out = text(key, max, {});
  if (out.empty() && faults_->size() == before && object_ != nullptr) fault(key, "is required");
  return out;
}

std::int64_t ObjectReader::integer(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t fallback) {
  auto const* const value = find(key);
  if (value == nullptr) return fallback;
  boost::system::error_code fault_code;
  auto const number = value->is_number() ? value->to_number<std::int64_t>(fault_code) : 0;
  if (!value->is_number() || fault_code || (value->is_double() && value->get_double() != std::floor(value->get_double()))) {
    fault(key, fmt::format("expected a whole number, got {}", value->is_number() ? std::string("another number") : std::string(kind_name(*value))));
    return fallback;
  }
  if (number < min || number > max) {
    fault(key, fmt::format("{} is not between {} and {}", number, min, max));
    return fallback;
  }
  return number;
}

std::int64_t ObjectReader::required_integer(std::string_view key, std::int64_t min, std::int64_t max) {
  if (object_ != nullptr && find(key) == nullptr) fault(key, "is required");
  return integer(key, min, max, min);
}

double ObjectReader::number(std::string_view key, double fallback) {
  auto const* const value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number()) {
    fault(key, fmt::format("expected a number, got {}", kind_name(*value)));
    return fallback;
  }
  return value->to_number<double>();
}

bool ObjectReader::boolean(std::string_view key, bool fallback) {
  auto const* const value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_bool()) {
    fault(key, fmt::format("expected true or false, got {}", kind_name(*value)));
    return fallback;
  }
  return value->get_bool();
}

json::array const* ObjectReader::array(std::string_view key, std::size_t max_items) {
  auto const* const value = find(key);
  if (value == nullptr) return nullptr;
  auto const* const list = value->if_array();
  if (list == nullptr) fault(key, fmt::format("expected a list, got {}", kind_name(*value)));
  else if (list->size() > max_items) fault(key, fmt::format("{} items, at most {} are taken", list->size(), max_items));
  else return list;
  return nullptr;
}

std::vector<std::string> ObjectReader::texts(std::string_view key, std::size_t max_items, std::size_t max_each) {
  std::vector<std::string> out;
  auto const* const list = array(key, max_items);
  if (list == nullptr) return out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    auto const& item = (*list)[i];
    if (!item.is_string() || item.get_string().size() > max_each)
      faults_->push_back({fmt::format("{}/{}", pointer(key), i), fmt::format("expected a text of at most {} bytes", max_each)});
    else out.emplace_back(item.get_string());
  }
  return out;
}

std::optional<SysTime> ObjectReader::time(std::string_view key) {
  auto const before = faults_->size();
  auto const written = text(key, 40, {});
  if (written.empty() || faults_->size() != before) return std::nullopt;
  auto const at = parse_rfc3339(written);
  if (!at) {
    auto const error = at.error();
    fault(key, error.detail + ": " + error.hint);
    return std::nullopt;
  }
  return *at;
}

std::optional<Millis> ObjectReader::duration(std::string_view key) {
  auto const before = faults_->size();
  auto const written = text(key, 40, {});
  if (written.empty() || faults_->size() != before) return std::nullopt;
  auto const length = parse_duration(written);
  if (!length) {
    fault(key, length.error().detail + "; " + length.error().hint);
    return std::nullopt;
  }
  return *length;
}

std::vector<std::pair<std::string, std::string>> ObjectReader::text_map(std::string_view key, std::size_t max_items, std::size_t max_each) {
  std::vector<std::pair<std::string, std::string>> out;
  auto const* const value = find(key);
  if (value == nullptr) return out;
  auto const* const object = value->if_object();
  if (object == nullptr || object->size() > max_items) {
    fault(key, object == nullptr ? fmt::format("expected an object, got {}", kind_name(*value))
                                 : fmt::format("{} members, at most {} are taken", object->size(), max_items));
    return out;
  }
  for (auto const& member : *object) {
    auto const& item = member.value();
    bool const plain = item.is_string() || item.is_int64() || item.is_uint64() || item.is_bool();
    auto written = item.is_string() ? std::string(item.get_string()) : plain ? json::serialize(item) : std::string();
    if (!plain || written.size() > max_each || member.key().empty() || member.key().size() > max_each)
      faults_->push_back(
          {pointer(key) + "/" + std::string(member.key().substr(0, 64)),
           item.is_double() ? "expected a text: write this number in quotes" : fmt::format("expected a name and a text of at most {} bytes", max_each)});
    else out.emplace_back(std::string(member.key()), std::move(written));
  }
  return out;
}

void ObjectReader::refuse_unknown() {
  if (object_ == nullptr) return;
  for (auto const& member : *object_) {
    std::string_view const key(member.key().data(), member.key().size());
    if (std::find(asked_.begin(), asked_.end(), key) != asked_.end()) continue;
    std::string_view nearest;
    std::size_t best = 3;
    for (auto const known : asked_)
      if (key.size() < 64 && distance(key, known) < best) {
        best = distance(key, known);
        nearest = known;
      }
    fault(key.substr(0, 64), nearest.empty() ? "is not known here" : fmt::format("is not known here; did you mean '{}'?", nearest));
  }
}

Result<void> no_faults(std::vector<FieldError> const& faults, std::string_view what) {
  if (faults.empty()) return {};
  auto const& first = faults.front();
  auto detail = fmt::format("{}: {} {}", what, first.pointer.empty() ? "the document" : first.pointer, first.detail);
  if (faults.size() > 1) detail += fmt::format(" (and {} more)", faults.size() - 1);
  return Error{Kind::bad_input, "bad_" + std::string(what.substr(0, what.find(' '))), std::move(detail), "correct the places that are named", faults};
}

}  // namespace fleet::wire
