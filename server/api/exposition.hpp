#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fleet::api {

/// Prometheus' text format, 0.0.4: families one after the other, each under its help. A name that ends in `_total` is a counter, any other a gauge.
class Exposition {
public:
  struct Label {
    std::string_view name, value;
  };
  /// Begins a family: what is added from now on is of it. Once a name.
  void family(std::string_view name, std::string_view help);
  template <class Number>
    requires std::is_arithmetic_v<Number>
  void add(std::initializer_list<Label> labels, Number value) {
    put(labels, static_cast<double>(value));
  }
  /// A family of one sample without labels.
  template <class Number>
  void single(std::string_view name, std::string_view help, Number value) {
    family(name, help);
    add({}, value);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

private:
  void put(std::initializer_list<Label> labels, double value);

  std::string text_, name_;
};

}  // namespace fleet::api
