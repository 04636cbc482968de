#pragma once

#include "cli/args/command.hpp"
#include "cli/client/session.hpp"
#include "cli/publish/file_tree.hpp"
#include "core/wire/release.hpp"

#include <boost/json/object.hpp>

#include <map>

namespace fleet::cli {

/// What `release publish` sends: the body of the POST, and the files behind it by digest.
struct Draft {
  boost::json::object body;
  std::map<Digest, LocalFile> blobs;
  std::size_t files = 0;           ///< of all variants
  std::size_t document_bytes = 0;  ///< of its release.json
  std::size_t links = 0;           ///< that are kept, of all variants
  int followed = 0;                ///< links that lead out of their folder
};

/// Makes it of the command's words and of what lies on this machine. Whatever can be told here is: names, manifest and files against each other, totals,
/// stand-ins, what models refer to; the cheap before the files are read whole.
/// @errors bad_input, unprocessable (inspect/variant.hpp), not_found, io
[[nodiscard]] Result<Draft> make_draft(Session& session, Arguments const& arguments);

/// A folder with its manifest, as the release of one variant that publishing them would make, checked as that would be: for whoever publishes nothing.
/// @errors as make_draft
[[nodiscard]] Result<wire::Release> check_folder(Session& session, std::string const& folder, std::string const& manifest);

}  // namespace fleet::cli
