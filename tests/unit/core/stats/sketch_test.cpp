#include "core/stats/sketch.hpp"

#include "core/base/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

using fleet::SeededRandom;
using fleet::stats::Sketch;

namespace {

double exact(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

}  // namespace

TEST_CASE("a quantile lies within 1 % of the exact one, for each shape of data") {
  SeededRandom random(7);
  struct Shape {
    char const* name;
    double (*draw)(double u);
  };
  for (auto const& shape : {Shape{"uniform", [](double u) { return u; }},
                            {"shifted", [](double u) { return 500 + u; }},
                            {"exponential", [](double u) { return -std::log1p(-u); }},
                            {"pareto", [](double u) { return std::pow(1 - u, -1 / 1.5); }},
                            {"negative", [](double u) { return -1 - 100 * u; }},
                            {"both signs", [](double u) { return u - .5; }},
                            {"shares", [](double u) { return u < .9 ? 1. : 0.; }}}) {
    CAPTURE(shape.name);
    Sketch sketch;
    std::vector<double> values;
    for (int i = 0; i < 5'001; ++i) {
      values.push_back(shape.draw(random.uniform()));
      sketch.add(values.back());
    }
    CHECK(sketch.count() == 5'001);
    for (double const q : {0., .01, .05, .25, .5, .75, .95, .99, 1.}) {
      CAPTURE(q);
      double const truth = exact(values, q);
      CHECK(std::abs(sketch.quantile(q) - truth) <= .0100001 * std::abs(truth) + 1e-12);
    }
  }
}

TEST_CASE("merging is the same as adding everything to one") {
  Sketch one, other, all;
  for (int i = 1; i <= 1000; ++i) {
    (i % 3 == 0 ? one : other).add(i * .37);
    all.add(i * .37);
  }
  one.merge(other);
  CHECK(one.buckets() == all.buckets());
  CHECK(one.count() == all.count());
}

TEST_CASE("buckets written and read again give the same sketch; counts that are no counts are left out") {
  Sketch sketch;
  for (double const x : {-3., 0., 0., 12.5, 1e300, -1e-300}) sketch.add(x);
  Sketch const again(sketch.buckets());
  CHECK(again.count() == 6);
  CHECK(again.quantile(.5) == sketch.quantile(.5));
  CHECK(Sketch({{3, -5}, {4, 0}, {5, 2}}).count() == 2);
}

TEST_CASE("an empty sketch answers 0, keys ascend with the values") {
  CHECK(Sketch().quantile(.5) == 0);
  double last = -1e9;
  for (double const x : {-1e6, -2., -1e-6, 0., 1e-6, 1., 7., 1e9}) {
    CHECK(Sketch::key_of(last) < Sketch::key_of(x));
    last = x;
  }
  CHECK(Sketch::key_of(1.) == 0);
}
