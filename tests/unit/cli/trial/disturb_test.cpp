#include "cli/trial/disturb.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <sstream>

using namespace fleet;
using namespace fleet::cli;

TEST_CASE("noise and loss are taken as people write them") {
  CHECK(parse_noise("0.01")->noise == doctest::Approx(0.01));
  CHECK_FALSE(parse_noise("0.01")->is_share);
  CHECK(parse_noise("1%")->noise == doctest::Approx(0.01));
  CHECK(parse_noise("1%")->is_share);
  CHECK(*parse_loss("5%") == doctest::Approx(0.05));
  CHECK(*parse_loss("1") == doctest::Approx(1));
  for (std::string const wrong : {"", "%", "-1", "nan", "inf", "1 %", "much"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_noise(wrong).has_value());
    CHECK_FALSE(parse_loss(wrong).has_value());
  }
  CHECK_FALSE(parse_loss("101%").has_value());
}

TEST_CASE("noise is on every number, of the spread that was asked for, and of nothing else") {
  std::string inputs = "id;name;value\n";
  for (int i = 0; i < 2'000; ++i) inputs += "7;cat;100\n";
  for (auto const& [how, spread_of_100, spread_of_7] : std::to_array<std::tuple<std::string, double, double>>({{"2", 2, 2}, {"1%", 1, 0.07}})) {
    SeededRandom random(1);
    auto const noisy = disturb(inputs, "", *parse_noise(how), random);
    REQUIRE(noisy.has_value());
    CHECK(noisy->lines == 2'000);
    CHECK(noisy->lost == 0);
    std::istringstream lines(noisy->inputs);
    std::string line;
    REQUIRE(std::getline(lines, line));
    CHECK(line == "id;name;value");
    std::array<double, 2> sums{}, squares{};
    int many = 0;
    for (; std::getline(lines, line); ++many) {
      double seven = 0, hundred = 0;
      REQUIRE(std::sscanf(line.c_str(), "%lf;cat;%lf", &seven, &hundred) == 2);
      sums[0] += seven - 7, sums[1] += hundred - 100;
      squares[0] += (seven - 7) * (seven - 7), squares[1] += (hundred - 100) * (hundred - 100);
    }
    REQUIRE(many == 2'000);
    // Six standard errors of mean and spread: the seed is fixed, and a wrong scale is far outside.
    for (auto const& [at, spread] : {std::pair<std::size_t, double>{0, spread_of_7}, {1, spread_of_100}}) {
      CHECK(std::abs(sums[at] / many) < 6 * spread / std::sqrt(many));
      CHECK(std::sqrt(squares[at] / many) == doctest::Approx(spread).epsilon(0.1));
    }
  }
}

TEST_CASE("lost lines are lost with what was expected of them, and the header stays") {
  std::string inputs = "x,y\n", expected = "score,label\n";
  for (int i = 0; i < 1'000; ++i) inputs += std::to_string(i) + ",1\n", expected += "0." + std::to_string(i) + ",cat\n";
  Disturbance how;
  how.loss = 0.1;
  SeededRandom random(3), again(3);
  auto const lossy = disturb(inputs, expected, how, random);
  REQUIRE(lossy.has_value());
  CHECK(lossy->lines == 1'000);
  CHECK(lossy->lost > 60);
  CHECK(lossy->lost < 140);
  std::istringstream in(lossy->inputs), out(lossy->expected);
  std::string left, right;
  std::getline(in, left), std::getline(out, right);
  CHECK(left == "x,y");
  CHECK(right == "score,label");
  std::size_t lines = 0;
  for (; std::getline(in, left) && std::getline(out, right); ++lines) CHECK(right == "0." + left.substr(0, left.find(',')) + ",cat");
  CHECK(lines == 1'000 - lossy->lost);
  CHECK(disturb(inputs, expected, how, again)->inputs == lossy->inputs);  // the same seed, the same disturbance
}

TEST_CASE("what cannot be disturbed is refused, and no disturbance changes nothing") {
  SeededRandom random(1);
  CHECK(disturb("1,2\n3,4\n", "a\nb\n", {}, random)->inputs == "1,2\n3,4\n");
  CHECK(disturb("1,2\n3,4\n", "a\n\nb\n", {}, random)->expected == "a\n\nb\n");
  CHECK(disturb(std::string_view("1\0002", 3), "", {}, random).error().detail.find("no text") != std::string::npos);
  Disturbance lossy;
  lossy.loss = 0.5;
  CHECK(disturb("1\n2\n", "1\n", lossy, random).error().detail.find("2 lines and the expected output 1") != std::string::npos);
}
