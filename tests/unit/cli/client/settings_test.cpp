#include "cli/client/settings.hpp"

#include "tests/unit/cli/bench.hpp"

#include <doctest/doctest.h>

using namespace fleet;
using namespace fleet::cli;
using fleet::cli::testing::Bench;

namespace {

struct Places : Bench {
  Places() {
    environment["XDG_CONFIG_HOME"] = folder.path() + "/xdg";
    working_folder = folder.path() + "/project/sub";
  }
  void person(std::string_view text) const { folder.write("xdg/fleetctl/config.json", text); }
  void project(std::string_view text) const { folder.write("project/.fleetctl.json", text); }
  Result<Settings> resolve(SiteFlags const& flags = {}) {
    auto const get = [this](std::string const& name) -> std::optional<std::string> {
      return environment.contains(name) ? std::optional(environment.at(name)) : std::nullopt;
    };
    return resolve_settings(flags, {console, system_fs(), clock, system_clock(), system_random(), get, working_folder});
  }
};

constexpr std::string_view kPerson = R"({"context":"lab","contexts":{
  "lab":{"server":"https://lab:1","ca":"/lab.pem","token_file":"/lab.token"},
  "prod":{"server":"https://prod:1","ca":"prod.pem","token_file":"/prod.token"}}})";

}  // namespace

TEST_CASE("nothing said is nothing known, and no error") {
  Places places;
  auto const settings = places.resolve();
  REQUIRE(settings.has_value());
  CHECK(settings->server.value.empty());
}

TEST_CASE("each setting comes from the first that has it: flag, environment, folder, person") {
  Places places;
  places.person(kPerson);
  CHECK(places.resolve()->server.value == "https://lab:1");
  CHECK(places.resolve()->token_file.value == "/lab.token");

  places.project(R"({"server":"https://folder:1","ca":"ca.pem"})");
  CHECK(places.resolve()->server.value == "https://folder:1");
  CHECK(places.resolve()->ca.value == places.folder.path() + "/project/ca.pem");

  places.environment["FLEETCTL_SERVER"] = "https://environment:1";
  places.environment["FLEETCTL_TOKEN"] = "flt_environment";
  CHECK(places.resolve()->server.value == "https://environment:1");
  CHECK(places.resolve()->token.value == "flt_environment");
  CHECK(places.resolve()->token_file.value.empty());

  SiteFlags flags;
  flags.server = "https://flag:1";
  flags.token_file = "/flag.token";
  auto const settings = places.resolve(flags);
  CHECK(settings->server.value == "https://flag:1");
  CHECK(settings->server.from == "flag");
  CHECK(settings->token_file.value == "/flag.token");
  CHECK(settings->token.value.empty());
  CHECK(settings->ca.value == places.folder.path() + "/project/ca.pem");
}

TEST_CASE("a context counts where it is named") {
  Places places;
  places.person(kPerson);
  places.environment["FLEETCTL_SERVER"] = "https://environment:1";
  SiteFlags flags;
  flags.context = "prod";
  CHECK(places.resolve(flags)->server.value == "https://prod:1");  // named by a flag: before the environment
  CHECK(places.resolve(flags)->ca.value == places.folder.path() + "/xdg/fleetctl/prod.pem");
  places.environment.erase("FLEETCTL_SERVER");
  places.environment["FLEETCTL_CONTEXT"] = "prod";
  CHECK(places.resolve()->server.value == "https://prod:1");
  CHECK(places.resolve()->context.value == "prod");
}

TEST_CASE("an unknown context is an error that names the known ones") {
  Places places;
  places.person(kPerson);
  SiteFlags flags;
  flags.context = "test";
  auto const settings = places.resolve(flags);
  REQUIRE(settings.has_error());
  CHECK(settings.error().kind == Kind::not_found);
  CHECK(settings.error().hint.find("lab, prod") != std::string::npos);
}

TEST_CASE("a folder's file cannot send a person's token to another server") {
  Places places;
  places.person(kPerson);
  places.project(R"({"server":"https://elsewhere:1","ca":"ca.pem","context":"prod"})");
  CHECK(places.resolve()->server.value == "https://elsewhere:1");
  CHECK(places.resolve()->token_file.value.empty());
  places.project(R"({"server":"https://prod:1"})");
  places.person(R"({"context":"prod","contexts":{"prod":{"server":"https://prod:1","token_file":"/prod.token"}}})");
  CHECK(places.resolve()->token_file.value == "/prod.token");
}

TEST_CASE("a folder's file cannot have the environment's token sent to another server") {
  for (auto const* const variable : {"FLEETCTL_TOKEN", "FLEETCTL_TOKEN_FILE"}) {
    CAPTURE(variable);
    Places places;
    places.person(kPerson);
    places.environment[variable] = "flt_environment";
    CHECK_MESSAGE(places.resolve().has_value(), "the person's own server");
    places.project(R"({"server":"https://elsewhere:1","ca":"ca.pem"})");
    auto const refused = places.resolve();
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == "token_of_another_server");
    CHECK(refused.error().detail.find("https://elsewhere:1") != std::string::npos);
    CHECK(refused.error().detail.find("project/.fleetctl.json") != std::string::npos);

    places.environment["FLEETCTL_SERVER"] = "https://elsewhere:1";
    CHECK(places.resolve().has_value());
    places.environment.erase("FLEETCTL_SERVER");
    places.project(R"({"server":"https://lab:1"})");
    CHECK_MESSAGE(places.resolve().has_value(), "the person's config names the same");

    SiteFlags flags;
    flags.context = "mine";
    places.project(R"({"contexts":{"mine":{"server":"https://elsewhere:1"}}})");
    places.environment["FLEETCTL_SERVER"] = "https://lab:1";
    CHECK_MESSAGE(places.resolve(flags).has_error(), "a context of the folder's file, named by a flag");
    flags.token_file = "/flag.token";
    CHECK(places.resolve(flags)->token_file.value == "/flag.token");
  }
}

TEST_CASE("a config that is wrong is named with the members that are") {
  Places places;
  places.person(R"({"contexts":{"lab":{"sever":"https://lab:1"}}})");
  auto const settings = places.resolve();
  REQUIRE(settings.has_error());
  CHECK(settings.error().detail.find("config.json") != std::string::npos);
  REQUIRE(settings.error().errors.size() == 1);
  CHECK(settings.error().errors[0].pointer == "/contexts/lab/sever");
}

TEST_CASE("contexts are added, used and listed") {
  Places bench;
  auto const ca = bench.folder.write("project/sub/ca.pem", "x");
  CHECK(bench.run({"context", "add", "lab", "--server", "https://lab:1", "--ca", "ca.pem"}) == 0);
  CHECK(bench.run({"context", "add", "prod", "--server", "https://prod:1", "--ca", ca}) == 0);
  CHECK(bench.run({"context", "list", "-o", "name"}) == 0);
  CHECK(bench.console.stdout_text == "lab\nprod\n");
  CHECK(bench.resolve()->server.value == "https://lab:1");
  CHECK(bench.resolve()->ca.value == ca);
  CHECK(bench.run({"context", "use", "prod"}) == 0);
  CHECK(bench.resolve()->server.value == "https://prod:1");
  CHECK(bench.run({"context", "use", "none"}) == 3);
  CHECK(bench.run({"context", "add", "bad", "--server", "https://x:1", "--ca", "absent.pem"}) == 3);
  CHECK(bench.run({"context", "add", "bad"}) == 2);
}
