#include "core/wire/routes.hpp"

#include "core/crypto/hash.hpp"

#include <doctest/doctest.h>

using namespace fleet;

namespace {

wire::ReleaseRoutes sample() {
  auto const digest = [](std::string_view text) {
    Digest out;
    out.bytes[0] = static_cast<std::uint8_t>(text[0]);
    return out;
  };
  return {digest("r"),
          "cam-a",
          {{digest("f"), 5'000'000'000, {{"compressed", {}, digest("c"), 1000, 4'000'000'000, 5 << 20}, {"tensor_delta", {digest("a"), digest("b")}, digest("d"), 2000, 9, 6 << 20}}},
           {digest("g"), 7, {}}}};
}

std::string with(std::string text, std::string_view what, std::string_view instead) {
  text.replace(text.find(what), what.size(), instead);
  return text;
}

}  // namespace

TEST_CASE("routes are read as they were written; members of a newer server are kept out") {
  auto const text = wire::encode(sample());
  auto const read = wire::decode_routes(text);
  REQUIRE(read.has_value());
  CHECK(*read == sample());
  auto const newer = wire::decode_routes(with(with(text, R"("kind":)", R"("later":[1],"kind":)"), "tensor_delta", "quantum_delta"));
  REQUIRE(newer.has_value());
  CHECK(newer->files[0].routes[1].kind == "quantum_delta");
}

TEST_CASE("routes that are wrong say where") {
  auto const text = wire::encode(sample());
  auto const fault = [](std::string const& wrong) {
    auto const read = wire::decode_routes(wrong);
    return read ? std::string("read") : read.error().errors.empty() ? read.error().code : read.error().errors.front().pointer;
  };
  CHECK(fault(with(text, R"("recipe_bytes":1000)", R"("recipe_bytes":-1)")) == "/files/0/routes/0/recipe_bytes");
  CHECK(fault(with(text, R"("bytes":4000000000)", R"("bytes":4e40)")) == "/files/0/routes/0/bytes");
  CHECK(fault(with(text, R"("size":7)", R"("size":"7")")) == "/files/1/size");
  CHECK(fault(with(text, "\"bases\":[\"6", "\"bases\":[\"G")) == "/files/0/routes/1/bases");
  CHECK(fault(with(text, R"("release":)", R"("other":)")) == "/release");
  CHECK(fault(std::string(wire::kRoutesBytesMax + 1, ' ')) == "too_large");
}
