#pragma once

#include <string>
#include <string_view>

namespace boost::json {
class value;
}  // namespace boost::json

/// The family of a release as people see it. Pure; reads the server's lineage object
/// `{"release","ancestors":[{"model","version","relation","of":"M@V"}],"descendants":[...]}`.
namespace fleet::render {

/// The release and, indented below it, its ancestors or its descendants, one line an edge with its relation. A release that was reached
/// before is not unfolded again (a merge would repeat its whole family): it ends with `…`.
[[nodiscard]] std::string lineage_tree(boost::json::value const& lineage, bool descendants);

/// Both directions as a directed graph for Graphviz: from what was there first to what was made from it.
[[nodiscard]] std::string lineage_dot(boost::json::value const& lineage);

}  // namespace fleet::render
