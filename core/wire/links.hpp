#pragma once

#include "core/base/result.hpp"
#include "core/wire/release.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fleet::wire {

class ObjectReader;

/// Where the links of a variant lead, by its own names alone: what a kernel would make of them in a slot. Nothing of it may ever lie outside the slot.
class Links {
public:
  /// @param variant  outlives this
  explicit Links(Variant const& variant);

  /// What is wrong with them: a target that is absolute, leads out, nowhere, in a circle, through more than 32 links, or to a folder that the link itself is
  /// in. Their pointers are below `pointer`.
  void check(std::string const& pointer, std::vector<FieldError>& faults);
  /// The file or folder that a name leads to, through whatever links: without `.`, `..` and links, empty for the variant's own folder. Nothing: to none.
  [[nodiscard]] std::optional<std::string> find(std::string_view name);

private:
  struct Place {
    std::string path;
    int links = 0;  ///< passed on the way
    std::string fault = {};
  };
  Place const& follow(std::string const& name, int depth);
  Place walk(std::string at, std::string_view text, int depth);
  [[nodiscard]] bool is_folder(std::string const& name) const { return name.empty() || folders_.contains(name); }
  void check_folders(std::string const& pointer, std::vector<FieldError>& faults);

  Variant const* variant_;
  std::set<std::string, std::less<>> files_, folders_;
  std::map<std::string, std::string, std::less<>> targets_;
  std::map<std::string, Place, std::less<>> found_;
};

/// `links` of a variant, their names checked, what they lead to not yet. @param most  so many are taken
[[nodiscard]] std::vector<ReleaseLink> read_links(ObjectReader& variant, std::string const& pointer, std::size_t most, std::vector<FieldError>& faults);
/// SHA-256 in hex of what each link to a file leads to, by the link's name.
[[nodiscard]] std::map<std::string, std::string> linked_digests(Variant const& variant);

}  // namespace fleet::wire
