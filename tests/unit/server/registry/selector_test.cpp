#include "server/registry/selector.hpp"

#include "tests/unit/server/registry/result_printer.hpp"

#include <array>

namespace fleet::registry {
namespace {

wire::Labels const kLabels{{"region", "eu"}, {"line", "3"}, {"note", "a, (b)"}};
std::map<std::string, std::string> const kRunning{{"reader", "1.0.0"}, {"eye", "2"}};
DeviceView const kDevice{"cam:01", "cam-a", "active", &kLabels, &kRunning};

TEST_CASE("a selector holds for a device or does not") {
  struct Case {
    std::string_view text;
    bool matches;
  };
  constexpr auto kCases = std::to_array<Case>({
      {"", true},
      {"   ", true},
      {"region=eu", true},
      {"region==eu", true},
      {" region = eu ", true},
      {"region=us", false},
      {"region!=us", true},
      {"region!=eu", false},
      {"missing!=x", true},
      {"missing=x", false},
      {"region in (eu,us)", true},
      {"region in ( us , eu )", true},
      {"region in (us)", false},
      {"region notin (us,asia)", true},
      {"region notin (eu)", false},
      {"missing notin (eu)", true},
      {"region", true},
      {"missing", false},
      {"!missing", true},
      {"! missing", true},
      {"!region", false},
      {"region=eu,line=3", true},
      {"region=eu,line=4", false},
      {"region=eu,!line", false},
      {"note=\"a, (b)\"", true},
      {"note in (x,\"a, (b)\")", true},
      {"hardware=cam-a", true},
      {"hardware in (cam-b)", false},
      {"state=active", true},
      {"state!=active", false},
      {"id=cam:01", true},
      {"id notin (cam:01)", false},
      {"running=reader@1.0.0", true},
      {"running=reader@2", false},
      {"running=other@1.0.0", false},
      {"running!=reader@2", true},
      {"running!=reader@1.0.0", false},
      {"running in (reader@9,eye@2)", true},
      {"running notin (eye@2)", false},
      {"running", true},
      {"!running", false},
      {"in=1", false},
      {"notin in (in,notin)", false},
  });
  for (auto const& [text, matches] : kCases) {
    CAPTURE(text);
    auto const selector = Selector::parse(text);
    REQUIRE_MESSAGE(selector, selector.error().detail);
    CHECK(selector->matches(kDevice) == matches);
  }
}

TEST_CASE("a wrong selector is refused with the position of the fault") {
  struct Case {
    std::string_view text;
    std::string_view place;
    std::string_view what;
  };
  constexpr auto kCases = std::to_array<Case>({
      {",", "character 1", "expected a label or field, got ','"},
      {"region=", "character 8", "expected a value, got the end"},
      {"region=eu,", "character 11", "got the end"},
      {"=eu", "character 1", "got '='"},
      {"region=eu line=3", "character 11", "expected a comma or the end, got 'l'"},
      {"region ! eu", "character 9", "expected '=' after '!'"},
      {"region like (eu)", "character 8", "got 'like'"},
      {"region in eu", "character 11", "expected '('"},
      {"region in (eu", "character 14", "no ')'"},
      {"region in ()", "character 12", "expected a value, got ')'"},
      {"region in (eu,)", "character 15", "expected a value"},
      {"region=\"eu", "character 8", "has no end"},
      {"re/gion=eu", "character 1", ""},
      {"!region=eu", "character 8", "expected a comma or the end"},
      {"running=reader", "character 9", "model@version"},
      {"running=@1", "character 9", "model@version"},
      {"running in (a@1,b)", "character 17", "model@version"},
  });
  for (auto const& [text, place, what] : kCases) {
    CAPTURE(text);
    auto const selector = Selector::parse(text);
    REQUIRE_FALSE(selector);
    CHECK(selector.error().kind == Kind::bad_input);
    CHECK(selector.error().code == "bad_selector");
    CHECK_MESSAGE(selector.error().detail.find(place) != std::string::npos, selector.error().detail);
    CHECK_MESSAGE(selector.error().detail.find(what) != std::string::npos, selector.error().detail);
    CHECK_FALSE(selector.error().hint.empty());
  }
}

TEST_CASE("a selector has limits") {
  CHECK_FALSE(Selector::parse(std::string(Selector::kBytesMax + 1, 'a')));
  std::string many;
  for (int i = 0; i < 65; ++i) many += (i ? ",a" : "a");
  CHECK_FALSE(Selector::parse(many));
  std::string values = "a in (v";
  for (int i = 0; i < 2'000; ++i) values += ",v";
  CHECK(Selector::parse(values + ")").error().hint.find("fleetctl group create") != std::string::npos);
  CHECK_FALSE(Selector::parse(values + ")"));
}

TEST_CASE("a list of serial numbers is a selector") {
  std::string list = "id in (SN-2026-A000000";
  for (int i = 1; i < 1'000; ++i) list += ",SN-2026-A" + std::to_string(1'000'000 + i).substr(1);
  auto const selector = Selector::parse(list + ")");
  REQUIRE(selector);
  CHECK(selector->matches({"SN-2026-A000999", "cam-a", "active", nullptr, nullptr}));
  CHECK_FALSE(selector->matches({"SN-2026-A001000", "cam-a", "active", nullptr, nullptr}));
}

TEST_CASE("a selector tells what a query can be narrowed by") {
  auto const selector = *Selector::parse("hardware=cam-a,region=eu,line in (3),running=reader@1,!x");
  CHECK(selector.required_value("hardware") == "cam-a");
  CHECK(selector.required_value("running") == "reader@1");
  CHECK(selector.required_value("state") == std::nullopt);
  CHECK(selector.required_label() == std::pair<std::string, std::string>("region", "eu"));
  CHECK(selector.asks_running());
  CHECK_FALSE(Selector::parse("hardware in (a,b)")->required_value("hardware"));
}

TEST_CASE("a device without labels or running models is a device all the same") {
  DeviceView const bare{"x", "cam-a", "active", nullptr, nullptr};
  CHECK(Selector::parse("!region,region!=eu,running!=reader@1,!running")->matches(bare));
  CHECK_FALSE(Selector::parse("running")->matches(bare));
  CHECK_FALSE(Selector::parse("region")->matches(bare));
}

TEST_CASE("a selector is within another when its own words say so") {
  struct Case {
    std::string selector, scope;
    bool within;
  };
  auto const cases = std::vector<Case>{
      {"", "", true},
      {"a=1", "", true},
      {"", "a=1", false},
      {"a=1", "a=1", true},
      {"b=2,a=1", "a=1", true},
      {"a=2", "a=1", false},
      {"a in (1,2)", "a in (1,2,3)", true},
      {"a in (1,2)", "a=1", false},
      {"a=1", "a", true},
      {"a!=1", "a", false},
      {"!a", "a", false},
      {"!a", "!a", true},
      {"a=1", "!a", false},
      {"!a", "a!=1", true},
      {"a=2", "a!=1", true},
      {"a=1", "a!=1", false},
      {"a in (1,2)", "a!=1", false},
      {"a notin (1,2)", "a!=1", true},
      {"a!=1", "a notin (1,2)", false},
      {"a", "a!=1", false},
      {"a=1,b=1", "a=1,b=1", true},
      {"a=1", "a=1,b=1", false},
      {"A=1", "a=1", false},
      {"hardware=x", "hardware in (x,y)", true},
      {"id=x", "hardware=x", false},
      {"running=m@1", "running=m@1", true},
      {"running=n@1", "running!=m@1", false},  // it may run both
      {"running!=m@1", "running!=m@1", true},
  };
  for (auto const& [selector, scope, within] : cases) {
    CAPTURE(selector);
    CAPTURE(scope);
    CHECK(Selector::parse(selector)->is_within(*Selector::parse(scope)) == within);
  }
}

}  // namespace
}  // namespace fleet::registry
