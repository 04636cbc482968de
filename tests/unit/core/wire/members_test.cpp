#include "core/wire/device.hpp"
#include "core/wire/release.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace fleet;
using namespace fleet::wire;

namespace {

std::string const kDigest(64, 'a');

std::string member(std::string const& model, std::string const& after = "[]", std::string const& more = "") {
  return fmt::format(R"({{"model":"{}","version":"1","digest":"{}","after":{}{}}})", model, kDigest, after, more);
}
std::string signed_set(std::string const& members, std::string const& more = "") {
  return fmt::format(R"({{"model":"gate","version":"1","release_counter":1,"members":[{}]{}}})", members, more);
}
std::string wanted(std::string const& members, std::string const& more = "") { return fmt::format(R"({{"version":"1","members":[{}]{}}})", members, more); }

std::string order_of(std::vector<Member> const& members) {
  std::string out;
  for (auto const& one : switch_order(members)) out += one.model + " ";
  return out;
}

}  // namespace

TEST_CASE("a set's release reads back as it was written, and has neither variants nor manifest") {
  auto const set = decode_release(signed_set(member("post", R"(["reader"])") + "," + member("reader"))).value();
  CHECK(set.is_set());
  CHECK(set.variants.empty());
  CHECK(encode(set) == signed_set(member("post", R"(["reader"])") + "," + member("reader")));
  CHECK(decode_release(encode(set))->members == set.members);
  CHECK(order_of(set.members) == "reader post ");
  CHECK(find_variant(set, "cam-a") == nullptr);
}

TEST_CASE("members are switched as they are listed, but after those that they name") {
  auto const of = [](std::string const& list) { return order_of(decode_release(signed_set(list))->members); };
  CHECK(of(member("c") + "," + member("a") + "," + member("b")) == "c a b ");
  CHECK(of(member("c", R"(["b"])") + "," + member("a") + "," + member("b", R"(["a"])")) == "a b c ");
  CHECK(of(member("c", R"(["a","b"])") + "," + member("b") + "," + member("a")) == "b a c ");
}

TEST_CASE("what is no set is refused, where it is written and where it is signed") {
  std::string many;
  for (int i = 0; i < 33; ++i) many += (i == 0 ? "" : ",") + member(fmt::format("m{}", i));
  for (auto const& list : {std::string(), many, member("gate"), member("a") + "," + member("a"), member("a", R"(["b"])"), member("a", R"(["a"])"),
                           member("a", R"(["b"])") + "," + member("b", R"(["a"])"), member("a", R"(["b","b"])") + "," + member("b"), member("A/.."), std::string("7")}) {
    CAPTURE(list);
    CHECK_FALSE(decode_release(signed_set(list)).has_value());
    CHECK_FALSE(decode_wanted_release("gate", wanted(list)).has_value());
  }
  for (auto const* const more : {R"(,"variants":[])", R"(,"manifest":{})"}) CHECK_FALSE(decode_wanted_release("gate", wanted(member("a"), more)).has_value());
}

TEST_CASE("a digest may be left out of what is asked for, never of what is signed; unknown keys the other way round") {
  std::string const bare = R"({"model":"a","version":"1"})";
  CHECK(decode_wanted_release("gate", wanted(bare))->members.front().digest == Digest{});
  CHECK_FALSE(decode_release(signed_set(bare)).has_value());
  auto const newer = member("a", "[]", R"(,"weight":1)");
  CHECK_FALSE(decode_wanted_release("gate", wanted(newer)).has_value());
  CHECK(decode_release(signed_set(newer)).has_value());
}

TEST_CASE("a directive's target says which set it is of, and what it comes after; others say nothing of it") {
  DirectiveTarget target;
  target.model = "post";
  auto const alone = encode_targets({target});
  CHECK(alone.find("\"set\"") == std::string::npos);
  CHECK(alone.find("after") == std::string::npos);
  target.set = "gate";
  target.after = {"reader"};
  CHECK(decode_targets(encode_targets({target}))->front() == target);
  target.set = "../gate";
  CHECK_FALSE(decode_targets(encode_targets({target})).has_value());
}
