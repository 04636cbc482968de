#include "server/access/oidc/judge.hpp"

#include <doctest/doctest.h>

using namespace fleet;

namespace {

SysTime const kNow = *parse_rfc3339("2026-11-20T10:00:00Z");

oidc::BoundRole role() {
  oidc::BoundRole out;
  out.name = "ci";
  out.issuer = "https://idp.test/x";
  out.audience = "fleet";
  out.repository_claim = "repository";
  out.repository = "acme/reader";
  out.ref = "refs/heads/main";
  return out;
}
wire::IdClaims claims() {
  return {.issuer = "https://idp.test/x",
          .subject = "s",
          .audiences = {"fleet"},
          .issued_at = kNow,
          .expires_at = kNow + seconds{300},
          .not_before = {},
          .texts = {{"repository", "acme/reader"}, {"ref", "refs/heads/main"}}};
}
std::string verdict(oidc::BoundRole const& role, wire::IdClaims const& claims) {
  auto const judged = oidc::judge(role, claims, kNow);
  if (judged) return "yes";
  CHECK(judged.error().kind == Kind::unauthenticated);
  auto const& text = judged.error().detail;
  auto const from = text.find("'s '") + 4;
  return text.substr(from, text.find('\'', from) - from);
}

}  // namespace

TEST_CASE("every claim is held to what the role pins") {
  struct Case {
    std::string what;
    void (*change)(oidc::BoundRole&, wire::IdClaims&);
    std::string verdict;
  };
  std::vector<Case> const cases{
      {"as it should be", [](auto&, auto&) {}, "yes"},
      {"issuer with a slash more", [](auto&, auto& c) { c.issuer += "/"; }, "iss"},
      {"audience", [](auto&, auto& c) { c.audiences = {"other"}; }, "aud"},
      {"audience in another case", [](auto&, auto& c) { c.audiences = {"Fleet"}; }, "aud"},
      {"two audiences", [](auto&, auto& c) { c.audiences = {"fleet", "other"}; }, "aud"},
      {"no audience", [](auto&, auto& c) { c.audiences = {}; }, "aud"},
      {"expired within the leeway", [](auto&, auto& c) { c.issued_at = kNow - seconds{300}, c.expires_at = kNow - seconds{59}; }, "yes"},
      {"expired", [](auto&, auto& c) { c.issued_at = kNow - seconds{300}, c.expires_at = kNow - seconds{60}; }, "exp"},
      {"issued within the leeway", [](auto&, auto& c) { c.issued_at = kNow + seconds{60}; }, "yes"},
      {"issued later", [](auto&, auto& c) { c.issued_at = kNow + seconds{61}; }, "iat"},
      {"not before, within the leeway", [](auto&, auto& c) { c.not_before = kNow + seconds{60}; }, "yes"},
      {"not before", [](auto&, auto& c) { c.not_before = kNow + seconds{61}; }, "nbf"},
      {"good for six hours", [](auto&, auto& c) { c.expires_at = kNow + std::chrono::hours{6}; }, "yes"},
      {"good for longer", [](auto&, auto& c) { c.expires_at = kNow + std::chrono::hours{6} + seconds{1}; }, "exp"},
      {"expired before it was issued", [](auto&, auto& c) { c.expires_at = kNow - seconds{1}; }, "exp"},
      {"repository", [](auto&, auto& c) { c.texts["repository"] = "acme/reader2"; }, "repository"},
      {"no repository", [](auto&, auto& c) { c.texts.erase("repository"); }, "repository"},
      {"the repository under another name", [](auto&, auto& c) { c.texts.erase("repository"), c.texts["project_path"] = "acme/reader"; }, "repository"},
      {"the name the role asks for",
       [](auto& r, auto& c) { r.repository_claim = "project_path", c.texts.erase("repository"), c.texts["project_path"] = "acme/reader"; }, "yes"},
      {"ref", [](auto&, auto& c) { c.texts["ref"] = "refs/heads/main2"; }, "ref"},
      {"no ref", [](auto&, auto& c) { c.texts.erase("ref"); }, "ref"},
      {"a pattern is no pattern unless it is said", [](auto& r, auto&) { r.ref = "refs/heads/*"; }, "ref"},
      {"a prefix", [](auto& r, auto&) { r.ref.reset(), r.ref_prefix = "refs/heads/"; }, "yes"},
      {"another prefix", [](auto& r, auto&) { r.ref.reset(), r.ref_prefix = "refs/tags/"; }, "ref"},
      {"an empty prefix", [](auto& r, auto&) { r.ref.reset(), r.ref_prefix = ""; }, "ref"},
      {"neither", [](auto& r, auto&) { r.ref.reset(); }, "ref"},
  };
  for (auto const& [what, change, expected] : cases) {
    CAPTURE(what);
    auto r = role();
    auto c = claims();
    change(r, c);
    CHECK(verdict(r, c) == expected);
  }
}

TEST_CASE("all branches of a repository are one identity, and no two issuers share one") {
  auto one = role(), two = role();
  two.ref = "refs/heads/other";
  two.role = "approver";
  CHECK(oidc::identity_of(one) == oidc::identity_of(two));
  CHECK(oidc::identity_of(one) == "oidc:acme/reader@idp.test/x");
  two.issuer = "https://idp.test/y";
  CHECK(oidc::identity_of(one) != oidc::identity_of(two));
}
