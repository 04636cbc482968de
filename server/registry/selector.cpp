#include "server/registry/selector.hpp"

#include "core/base/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace fleet::registry {
namespace {

constexpr std::size_t kConditionsMax = 64;
constexpr std::size_t kValuesMax = 2'000;
constexpr std::string_view kLabelThem = "make a group of those devices and select that: fleetctl group create NAME --from FILE, then -l group=NAME";
constexpr auto kFields = std::to_array<std::string_view>({"hardware", "state", "id", "running", "group"});
constexpr std::string_view kHint = "conditions are k=v, k!=v, k in (a,b), k notin (a,b), k and !k, joined by commas";

bool is_space(char c) { return c == ' ' || c == '\t'; }
bool ends_word(char c) { return is_space(c) || std::string_view(",()=!\"").find(c) != std::string_view::npos; }

/// Reads a selector from left to right; every fault names the position it was seen at.
class Parser {
public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::vector<Condition>> read() {
    std::vector<Condition> out;
    skip_spaces();
    if (at_end()) return out;
    while (true) {
      if (out.size() == kConditionsMax) return fault(at_, fmt::format("more than {} conditions", kConditionsMax));
      auto const from = at_;
      FLEET_TRY(auto condition, read_condition());
      if (condition.key == "group" && (groups_ += condition.values.size()) > Selector::kGroupsMax)
        return fault(from, fmt::format("more than {} groups", Selector::kGroupsMax));
      out.push_back(std::move(condition));
      skip_spaces();
      if (at_end()) return out;
      if (!take(',')) return fault(at_, fmt::format("expected a comma or the end, got '{}'", text_[at_]));
    }
  }

private:
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  void skip_spaces() {
    while (!at_end() && is_space(text_[at_])) ++at_;
  }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] static Error fault(std::size_t at, std::string const& what) {
    return Error{Kind::bad_input, "bad_selector", fmt::format("selector, character {}: {}", at + 1, what), std::string(kHint)};
  }

  Result<Condition> read_condition() {
    skip_spaces();
    bool const negated = take('!');
    skip_spaces();
    auto const key_at = at_;
    FLEET_TRY(auto key, read_word("a label or field"));
    if (auto const named = check_id("label", key); !named) return fault(key_at, named.error().detail);
    skip_spaces();
    bool const alone = negated || at_end() || text_[at_] == ',';
    if (alone && key == "group") return fault(key_at, "group wants a name: group=NAME, group!=NAME");
    if (alone) return Condition{std::move(key), negated ? Condition::Op::absent : Condition::Op::exists, {}};
    FLEET_TRY(auto const op, read_operator());
    Condition condition{std::move(key), op.op, {}};
    FLEET_CHECK(op.list ? read_list(condition) : read_value(condition));
    std::sort(condition.values.begin(), condition.values.end());
    condition.values.erase(std::unique(condition.values.begin(), condition.values.end()), condition.values.end());
    return condition;
  }

  struct Operator {
    Condition::Op op;
    bool list;
  };
  Result<Operator> read_operator() {
    auto const op_at = at_;
    if (take('=')) {
      take('=');
      return Operator{Condition::Op::in, false};
    }
    if (take('!')) {
      if (!take('=')) return fault(at_, "expected '=' after '!'");
      return Operator{Condition::Op::not_in, false};
    }
    FLEET_TRY(auto const word, read_word("=, !=, in or notin"));
    if (word == "in") return Operator{Condition::Op::in, true};
    if (word == "notin") return Operator{Condition::Op::not_in, true};
    return fault(op_at, fmt::format("expected =, !=, in or notin, got '{}'", word));
  }

  Result<void> read_list(Condition& condition) {
    skip_spaces();
    if (!take('(')) return fault(at_, "expected '(' and a list of values");
    do {
      if (condition.values.size() == kValuesMax)
        return Error{Kind::bad_input, "bad_selector", fmt::format("selector, character {}: more than {} values", at_ + 1, kValuesMax), std::string(kLabelThem)};
      FLEET_CHECK(read_value(condition));
      skip_spaces();
    } while (take(','));
    if (!take(')')) return fault(at_, at_end() ? "the list of values has no ')'" : fmt::format("expected ',' or ')', got '{}'", text_[at_]));
    return {};
  }

  Result<void> read_value(Condition& condition) {
    skip_spaces();
    auto const value_at = at_;
    std::string value;
    if (take('"')) {
      FLEET_TRY(value, read_quoted(value_at));
    } else {
      FLEET_TRY(value, read_word("a value"));
    }
    if (condition.key == "running") {
      auto const at = value.find('@');
      if (at == std::string::npos || at == 0 || at + 1 == value.size()) {
        return fault(value_at, fmt::format("running wants model@version, got '{}'", value));
      }
    }
    if (condition.key == "group")
      if (auto const named = check_id("group", value); !named) return fault(value_at, named.error().detail);
    condition.values.push_back(std::move(value));
    return {};
  }

  Result<std::string> read_word(std::string_view what) {
    auto const from = at_;
    while (!at_end() && !ends_word(text_[at_])) ++at_;
    if (at_ > from) return std::string(text_.substr(from, at_ - from));
    if (at_end()) return fault(at_, fmt::format("expected {}, got the end", what));
    return fault(at_, fmt::format("expected {}, got '{}'", what, text_[at_]));
  }

  Result<std::string> read_quoted(std::size_t from) {
    std::string out;
    while (!at_end()) {
      char const c = text_[at_++];
      if (c == '"') return out;
      if (c == '\\' && !at_end()) {
        out += text_[at_++];
      } else {
        out += c;
      }
    }
    return fault(from, "the quoted value has no end");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t groups_ = 0;
};

bool has(std::vector<std::string> const& sorted, std::string_view value) { return std::binary_search(sorted.begin(), sorted.end(), value, std::less<>{}); }

bool runs_one_of(std::vector<std::string> const& values, std::map<std::string, std::string> const* running) {
  return running && std::any_of(values.begin(), values.end(), [&](std::string const& value) {
           auto const at = value.find('@');
           auto const found = running->find(value.substr(0, at));
           return found != running->end() && found->second == std::string_view(value).substr(at + 1);
         });
}

/// The value of a field or label; nothing when the label is not there.
std::optional<std::string_view> value_of(DeviceView const& device, std::string const& key) {
  if (key == "hardware") return device.hardware;
  if (key == "state") return device.state;
  if (key == "id") return device.id;
  if (!device.labels) return std::nullopt;
  auto const found = device.labels->find(key);
  if (found == device.labels->end()) return std::nullopt;
  return found->second;
}

bool is_in_group(Condition const& condition, DeviceView const& device, Selector::Groups const& groups) {
  bool any = false;
  for (auto const& name : condition.values) {
    auto const group = groups.find(name);
    if (group == groups.end()) return false;  // nobody knows who is in it, nor who is not
    any = any || (group->second ? group->second->matches(device) : device.lists != nullptr && device.lists->contains(name));
  }
  return any == (condition.op == Condition::Op::in);
}

bool holds(Condition const& condition, DeviceView const& device, Selector::Groups const& groups) {
  using Op = Condition::Op;
  bool const wanted = condition.op == Op::in || condition.op == Op::exists;
  bool const lists = condition.op == Op::in || condition.op == Op::not_in;
  if (condition.key == "group") return is_in_group(condition, device, groups);
  if (condition.key == "running") {
    bool const any = device.running && !device.running->empty();
    return (lists ? runs_one_of(condition.values, device.running) : any) == wanted;
  }
  auto const value = value_of(device, condition.key);
  bool const found = value && (!lists || has(condition.values, *value));
  return found == wanted;
}

/// True when every device that fulfils `known` fulfils `wanted`, both of one key.
bool follows(Condition const& wanted, Condition const& known) {
  using Op = Condition::Op;
  auto const has_all = [](std::vector<std::string> const& all, std::vector<std::string> const& some) {
    return std::includes(all.begin(), all.end(), some.begin(), some.end());
  };
  switch (wanted.op) {
    case Op::exists: return known.op == Op::exists || known.op == Op::in;
    case Op::absent: return known.op == Op::absent;
    case Op::in: return known.op == Op::in && has_all(wanted.values, known.values);
    case Op::not_in: break;
  }
  if (known.op == Op::absent) return true;
  if (known.op == Op::not_in) return has_all(known.values, wanted.values);
  // A device runs several models and is in several groups: that it runs one says nothing of the others.
  if (known.op != Op::in || wanted.key == "running" || wanted.key == "group") return false;
  return std::none_of(known.values.begin(), known.values.end(), [&](std::string const& value) { return has(wanted.values, value); });
}

}  // namespace

Result<Selector> Selector::parse(std::string_view text) {
  if (text.size() > kBytesMax) {
    return Error{Kind::bad_input, "bad_selector", fmt::format("selector of {} bytes, at most {} are taken", text.size(), kBytesMax), std::string(kLabelThem)};
  }
  Selector out;
  FLEET_TRY(out.conditions_, Parser(text).read());
  return out;
}

std::string Selector::text() const {
  using Op = Condition::Op;
  auto const quoted = [](std::string const& value) {
    std::string out = "\"";
    for (char const c : value) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + '"';
  };
  std::vector<std::string> parts;
  for (auto const& condition : conditions_) {
    std::vector<std::string> values;
    for (auto const& value : condition.values) values.push_back(quoted(value));
    switch (condition.op) {
      case Op::exists: parts.push_back(condition.key); break;
      case Op::absent: parts.push_back("!" + condition.key); break;
      case Op::in: parts.push_back(fmt::format("{} in ({})", condition.key, fmt::join(values, ","))); break;
      case Op::not_in: parts.push_back(fmt::format("{} notin ({})", condition.key, fmt::join(values, ","))); break;
    }
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

bool Selector::matches(DeviceView const& device) const {
  return std::all_of(conditions_.begin(), conditions_.end(), [&](Condition const& condition) { return holds(condition, device, groups_); });
}

bool Selector::is_within(Selector const& scope) const {
  return std::all_of(scope.conditions_.begin(), scope.conditions_.end(), [&](Condition const& wanted) {
    return std::any_of(conditions_.begin(), conditions_.end(), [&](Condition const& known) { return known.key == wanted.key && follows(wanted, known); });
  });
}

bool Selector::asks_running() const {
  return std::any_of(conditions_.begin(), conditions_.end(), [](Condition const& c) { return c.key == "running"; }) ||
         std::any_of(groups_.begin(), groups_.end(), [](auto const& group) { return group.second && group.second->asks_running(); });
}

bool Selector::asks_groups() const {
  return std::any_of(conditions_.begin(), conditions_.end(), [](Condition const& c) { return c.key == "group"; });
}

std::vector<std::string> Selector::group_names() const {
  std::vector<std::string> out;
  for (auto const& condition : conditions_)
    if (condition.key == "group") out.insert(out.end(), condition.values.begin(), condition.values.end());
  return out;
}

std::optional<std::string> Selector::required_list() const {
  for (auto const& condition : conditions_) {
    if (condition.key != "group" || condition.op != Condition::Op::in || condition.values.size() != 1) continue;
    auto const group = groups_.find(condition.values.front());
    if (group != groups_.end() && !group->second) return group->first;
  }
  return std::nullopt;
}

std::optional<std::string> Selector::required_value(std::string_view key) const {
  for (auto const& condition : conditions_) {
    if (condition.key == key && condition.op == Condition::Op::in && condition.values.size() == 1) return condition.values.front();
  }
  return std::nullopt;
}

std::optional<std::pair<std::string, std::string>> Selector::required_label() const {
  for (auto const& condition : conditions_) {
    if (is_reserved_key(condition.key) || condition.op != Condition::Op::in || condition.values.size() != 1) continue;
    return std::pair(condition.key, condition.values.front());
  }
  return std::nullopt;
}

bool is_reserved_key(std::string_view key) { return std::find(kFields.begin(), kFields.end(), key) != kFields.end(); }

}  // namespace fleet::registry
