#pragma once

#include "core/base/time.hpp"
#include "server/registry/limits.hpp"
#include "server/registry/selector.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace fleet::telemetry {

/// What questions about samples share; each puts its faults beside the others' and gives a default back.
class Terms {
public:
  /// @param labels  that samples are kept by
  Terms(std::vector<std::string> const& labels, SysTime now) : labels_(labels), now_(now) {}
  [[nodiscard]] SysTime since(std::string const& text);
  [[nodiscard]] Millis step(std::string const& text, std::string_view fallback);
  /// @param groups  what those mean that it names (groups_of)
  [[nodiscard]] registry::Selector selector(std::string const& text, registry::Selector::Groups groups = {});
  [[nodiscard]] std::vector<std::string> by(std::string_view text);
  void fault(std::string pointer, std::string detail) { faults_.push_back({std::move(pointer), std::move(detail)}); }
  [[nodiscard]] std::vector<FieldError>& faults() { return faults_; }

private:
  void check_keys(registry::Selector const& selector, std::string const& of_group);
  std::vector<std::string> const& labels_;
  SysTime now_;
  std::vector<FieldError> faults_;
};

/// What the groups mean that a selector names; none of one that cannot be read.
[[nodiscard]] registry::Selector::Groups groups_of(db::Connection& reader, std::string const& selector);
/// The labels by which a caller is limited: a series that lacks one may sum up devices beyond.
[[nodiscard]] std::vector<std::string> limiting_labels(registry::Limits const& limits);
/// Words between commas.
[[nodiscard]] std::vector<std::string> split(std::string_view text);
/// To six digits: what was measured is not known better.
[[nodiscard]] double rounded(double value);
[[nodiscard]] Error bad_query(std::vector<FieldError> faults);

}  // namespace fleet::telemetry
