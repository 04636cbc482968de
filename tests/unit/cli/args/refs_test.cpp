#include "cli/args/refs.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace fleet;
using namespace fleet::cli;

TEST_CASE("a release is MODEL@VERSION") {
  auto const ref = parse_release("reader@2.0.0+gpu");
  REQUIRE(ref.has_value());
  CHECK(ref->model == "reader");
  CHECK(ref->version == "2.0.0+gpu");
  CHECK(parse_release("reader@latest")->version == "latest");
  for (auto const* wrong : {"", "reader", "@1", "reader@", "Reader@1", "reader@1@2", "reader@current", "../x@1"}) {
    CAPTURE(wrong);
    CHECK(parse_release(wrong).has_error());
  }
}

TEST_CASE("a variant names hardware, once each, and a path that may hold anything") {
  auto const variant = parse_variant("cam-a+cam-b=./out/a=b");
  REQUIRE(variant.has_value());
  CHECK(variant->hardware == std::vector<std::string>{"cam-a", "cam-b"});
  CHECK(variant->path == "./out/a=b");
  for (auto const* wrong : {"", "cam-a", "=x", "cam-a=", "+=x", "cam-a+=x", "cam-a+cam-a=x", "cam a=x"}) {
    CAPTURE(wrong);
    CHECK(parse_variant(wrong).has_error());
  }
}

TEST_CASE("a parent has one of the known relations, and the error names them") {
  auto const parent = parse_parent("reader@1.0.0=quantized");
  REQUIRE(parent.has_value());
  CHECK(parent->release.version == "1.0.0");
  CHECK(parent->relation == "quantized");
  for (auto const* wrong : {"reader@1.0.0", "reader@1.0.0=", "reader@1.0.0=copied", "reader=finetune"}) CHECK(parse_parent(wrong).has_error());
  CHECK(parse_parent("reader@1=copied").error().detail.find("distilled") != std::string::npos);
}

TEST_CASE("a data set carries its digest") {
  std::string const hex(64, 'a');
  CHECK(parse_dataset("digits=sha256:" + hex)->sha256 == hex);
  for (auto const& wrong : {"digits=" + hex, "=sha256:" + hex, "digits=sha256:" + hex.substr(1), "digits=sha256:" + std::string(64, 'A')})
    CHECK(parse_dataset(wrong).has_error());
}

TEST_CASE("metrics are finite numbers") {
  CHECK(parse_metric("accuracy=0.97")->second == 0.97);
  CHECK(parse_metric("loss=-1e-3")->second == -1e-3);
  for (auto const* wrong : {"accuracy", "accuracy=", "accuracy=high", "accuracy=1x", "a=nan", "a=inf", "=1"}) {
    CAPTURE(wrong);
    CHECK(parse_metric(wrong).has_error());
  }
}

TEST_CASE("changes set with = and remove with a trailing dash") {
  CHECK(parse_change("label", "site=lab")->second == "lab");
  CHECK(parse_change("label", "site=")->second == "");
  CHECK(parse_change("label", "site=a-")->second == "a-");
  CHECK(!parse_change("label", "rack-")->second.has_value());
  for (auto const* wrong : {"", "-", "site", "=x"}) CHECK(parse_change("label", wrong).has_error());
}

TEST_CASE("counts are whole and bounded below") {
  CHECK(*parse_count("--count", "20", 1) == 20);
  for (auto const* wrong : {"", "0", "-1", "1.5", "2x", "99999999999999999999"}) CHECK(parse_count("--count", wrong, 1).has_error());
}
