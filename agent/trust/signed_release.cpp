#include "agent/trust/signed_release.hpp"

#include "agent/trust/folder_store.hpp"
#include "core/net/client.hpp"
#include "core/wire/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace fleet::agent {
namespace json = boost::json;
namespace {

constexpr std::size_t kEvidenceBytesMax = 8 * 1024 * 1024;  ///< of a publication's 4 MiB, in base64

Result<json::value> evidence_of(Remote& remote, std::string const& digest) {
  auto const answer = remote.get("/device/v1/evidence/" + digest, kEvidenceBytesMax);
  if (!answer && answer.error().kind == Kind::not_found) return json::value(json::array());  // a server from before
  if (!answer) return answer.error();
  FLEET_TRY(auto const told, wire::parse_json(answer->body, kEvidenceBytesMax));
  auto const* const items = told.is_object() ? told.get_object().if_contains("items") : nullptr;
  return items == nullptr ? json::value(json::array()) : *items;
}

}  // namespace

Result<std::string> signed_release(Fs& fs, Remote& remote, std::string const& store_dir, std::string const& model, std::string const& digest) {
  FolderStore store(fs, store_dir);
  json::object metadata;
  for (auto const& role : {std::string("root"), std::string("targets"), "m-" + model}) {
    FLEET_TRY(auto const kept, store.load(role));
    if (kept) metadata[role] = std::string(as_text(*kept));
  }
  FLEET_TRY(auto const evidence, evidence_of(remote, digest));
  return json::serialize(json::object{{"metadata", std::move(metadata)}, {"evidence", evidence}});
}

}  // namespace fleet::agent
