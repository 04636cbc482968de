#pragma once

#include "core/base/random.hpp"
#include "core/base/result.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace fleet::cli {

/// What a sensor and its link do to inputs.
struct Disturbance {
  double noise = 0;       ///< standard deviation of what is added to each number; of a share, of the number itself
  bool is_share = false;  ///< `noise` is a share of each number
  double loss = 0;        ///< share of the lines that never come, 0 to 1
};

/// `0.01`, or `1%` of each number. @errors bad_input
[[nodiscard]] Result<Disturbance> parse_noise(std::string_view text);
/// `5%` or `0.05`, 0 to 1. @errors bad_input
[[nodiscard]] Result<double> parse_loss(std::string_view text);

struct Disturbed {
  std::string inputs;    ///< what is left of them
  std::string expected;  ///< the lines of the expected output that belong to those
  std::size_t lines = 0, lost = 0;
};

/// Adds normally distributed noise to every cell that is a number, and loses lines. A first line without any number is a header: it stays as it is.
/// @errors bad_input: inputs that are no text; a loss where inputs and expected output do not have a line for a line
[[nodiscard]] Result<Disturbed> disturb(std::string_view inputs, std::string_view expected, Disturbance const& how, Random& random);

}  // namespace fleet::cli
