#include "core/trust/canonical.hpp"
#include "core/trust/dsse.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>

using namespace fleet;
using namespace fleet::trust;

TEST_CASE("canonical JSON is what securesystemslib emits") {
  auto const value = parse_strict(as_bytes(R"( {"b":[1, -2,true,null], "a":"q\"\\\n\u00e9/", "A":{} } )"), 1000);
  REQUIRE(value.has_value());
  CHECK(canonical(*value) == "{\"A\":{},\"a\":\"q\\\"\\\\\n\xc3\xa9/\",\"b\":[1,-2,true,null]}");
}

TEST_CASE("a file is JSON where its canonical form is not") {
  auto const key = parse_strict(as_bytes(R"({"value":"-----BEGIN\n\u0001\u007f-----","b\n":1})"), 1000);
  REQUIRE(key.has_value());
  CHECK_FALSE(parse_strict(as_bytes(canonical(*key)), 1000).has_value());
  auto const file = json_file(*key);
  CHECK(file == "{\"b\\n\":1,\"value\":\"-----BEGIN\\n\\u0001\x7f-----\"}");
  CHECK(parse_strict(as_bytes(file), 1000).value() == *key);
}

TEST_CASE("what has no canonical form is refused") {
  std::string const deep = std::string(40, '[') + std::string(40, ']');
  for (std::string const& text :
       {std::string(R"({"a":1,"a":2})"), std::string(R"({"a":{"b":1,"b":1}})"), std::string("1.5"), std::string("1e3"), std::string("9223372036854775808"),
        std::string(R"("\ud800")"), std::string(R"("\ud800\u0041")"), deep, std::string("{} {}"), std::string("{"), std::string(), std::string("\"\xff\"")}) {
    CAPTURE(text.substr(0, 40));
    CHECK_FALSE(parse_strict(as_bytes(text), 1000).has_value());
  }
  CHECK(parse_strict(as_bytes("[1,2,3]"), 3).error().kind == Kind::too_large);
}

TEST_CASE("an envelope opens with its keys, its type and its bytes only") {
  SeededRandom random(1);
  auto const key = crypto::SigningKey::generate(random), stranger = crypto::SigningKey::generate(random);
  auto const envelope = make_envelope("application/x", as_bytes("payload"), std::array{key});
  KeySet const keys{{{key.key_id(), key.public_key()}}, 1};
  CHECK(as_text(*open_envelope(as_bytes(envelope), "application/x", keys, 1000)) == "payload");
  CHECK(open_envelope(as_bytes(envelope), "application/y", keys, 1000).error().kind == Kind::bad_input);
  CHECK(open_envelope(as_bytes(envelope), "application/x", {{{key.key_id(), stranger.public_key()}}, 1}, 1000).error().code == "threshold_unmet");
  CHECK(open_envelope(as_bytes(envelope), "application/x", {keys.keys, 2}, 1000).error().code == "threshold_unmet");
  CHECK(open_envelope(as_bytes(envelope), "application/x", {keys.keys, 0}, 1000).error().code == "threshold_unmet");
  CHECK(open_envelope(as_bytes(envelope), "application/x", keys, 10).error().kind == Kind::too_large);
  auto const both = make_envelope("application/x", as_bytes("payload"), std::array{key, key});
  CHECK(open_envelope(as_bytes(both), "application/x", {keys.keys, 2}, 1000).error().code == "threshold_unmet");
  for (std::size_t i = 0; i < envelope.size(); ++i) {
    auto flipped = envelope;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    auto const opened = open_envelope(as_bytes(flipped), "application/x", keys, 1000);
    CHECK((!opened || as_text(*opened) == "payload"));
  }
}
