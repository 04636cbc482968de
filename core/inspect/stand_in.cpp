#include "core/inspect/stand_in.hpp"

#include <algorithm>
#include <array>

namespace fleet::inspect {
namespace {

struct Form {
  std::string_view begin, within;
  StandIn means;
};
constexpr StandIn kLfs{"a pointer of Git LFS, not the file itself", "fetch the files first: git lfs pull (in CI: check out with LFS)"};
constexpr StandIn kAnnex{"a pointer of git-annex, not the file itself", "fetch the files first: git annex get"};
constexpr auto kForms = std::to_array<Form>({
    {"version https://git-lfs.github.com/spec/", "oid sha256:", kLfs},
    {"version https://hawser.github.com/spec/", "oid sha256:", kLfs},  // its name before 2015, still read
    {"/annex/objects/", "", kAnnex},
    {"# xet version ", "", {"a pointer of Git Xet, not the file itself", "fetch the files first: git xet checkout"}},
});

}  // namespace

StandIn const* find_stand_in(std::string_view content) {
  if (content.size() > kStandInBytesMax) return nullptr;
  auto const found = std::find_if(kForms.begin(), kForms.end(), [&](Form const& form) {
    return content.starts_with(form.begin) && content.find(form.within) != std::string_view::npos;
  });
  return found == kForms.end() ? nullptr : &found->means;
}

}  // namespace fleet::inspect
