#include "cli/args/id_list.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace fleet::cli {
namespace {

TEST_CASE("ids are read from CSV with a header and from JSON lines") {
  for (auto const* const text : {"id\na\nb\n", "\"id\",\"site\"\n\"a\",\"x\"\nb,y\n", "site,id,note\r\nx,a,\"one, two\"\r\ny,b,\r\n", "\"device\"\n\"a\"\n\"b\"", "\xEF\xBB\xBFid\na\n\nb", "{\"id\":\"a\",\"x\":1}\n{\"device\":\"b\"}\n",
                                 "\"a\"\n\"b\"\n"}) {
    CAPTURE(text);
    auto const read = read_ids(text, "f");
    CHECK(*read == std::vector<std::string>{"a", "b"});
  }
  CHECK(read_ids("id\n", "f")->empty());
}

TEST_CASE("what is no list of ids is refused with the line") {
  struct Case {
    std::string text, says;
  };
  for (auto const& [text, says] : std::vector<Case>{{"", "f: is empty"},
                                                    {"cam-1\ncam-2\n", "f:1: the header"},
                                                    {"site,id\nx\n", "f:2: has 1 cells"},
                                                    {"id\na b\n", "f:2:"},
                                                    {"id\n\"a\n", "f:2: a cell in quotes"},
                                                    {"{\"id\":\"a\"}\n{\"name\":\"b\"}\n", "f:2: expected an id"},
                                                    {"{\"id\":\"a\"}\nb\n", "f:2:"}}) {
    auto const read = read_ids(text, "f");
    REQUIRE(!read);
    CHECK(read.error().code == "bad_list");
    CHECK_MESSAGE(read.error().detail.find(says) != std::string::npos, read.error().detail);
  }
}

}  // namespace
}  // namespace fleet::cli
