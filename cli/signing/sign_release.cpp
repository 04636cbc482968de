#include "cli/signing/sign_release.hpp"

#include "cli/signing/addition.hpp"
#include "cli/signing/proposal_text.hpp"
#include "cli/signing/signing_keys.hpp"
#include "cli/signing/trusted.hpp"
#include "core/crypto/hash.hpp"
#include "core/trust/proposal.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

#include <algorithm>
#include <set>

namespace fleet::cli {
namespace json = boost::json;
namespace {

constexpr std::uint64_t kPiece = 8 * 1024 * 1024;
constexpr int kWaitsForPerson = 9;

/// Where signatures are collected, or, while there is none, what the server prepares.
Result<trust::Proposal> load_proposal(Session& session, Api& api, std::string const& path, ReleaseRef const& ref) {
  if (!path.empty() && session.around().fs.info(path)) {
    FLEET_TRY(auto const text, session.around().fs.read(path, trust::Proposal::kBytesMax));
    return trust::decode_proposal(text);
  }
  json::object body;
  body["releases"] = json::array{json::string(ref.version)};
  FLEET_TRY(auto const answer, api.post(Route("/models/{}:prepare", {ref.model}), body));
  return trust::decode_proposal(answer.body);
}

Result<trust::Targets> read_targets(BytesView bytes) {
  FLEET_TRY(auto const file, trust::read_signed(bytes, trust::Proposal::kBytesMax));
  return trust::decode_targets(file);
}

/// A blob of the server, piece by piece, with its digest computed here.
Result<void> check_blob(Api& api, wire::ReleaseFile const& file) {
  crypto::Sha256 hash;
  std::uint64_t have = 0;
  while (have < file.size) {
    auto const last = std::min(have + kPiece, file.size) - 1;
    FLEET_TRY(auto const answer, api.send(net::Method::get, "/blobs/sha256/" + file.sha256.hex(), {}, {{"Range", fmt::format("bytes={}-{}", have, last)}}));
    if (answer.body.size() != last - have + 1) return unexpected(fmt::format("file {} is shorter than {} bytes", file.name, file.size));
    hash.update(as_bytes(answer.body));
    have += answer.body.size();
  }
  auto const got = hash.finish();
  if (got == file.sha256) return {};
  return Error{Kind::signature, "digest_mismatch", fmt::format("file {}: digest {}, expected {}", file.name, got.hex(), file.sha256.hex())};
}

/// The server's files, each fetched and computed anew.
Result<void> check_files(Api& api, wire::Release const& release) {
  std::set<Digest> seen;
  for (auto const& variant : release.variants)
    for (auto const& file : variant.files)
      if (seen.insert(file.sha256).second) FLEET_CHECK(check_blob(api, file));
  return {};
}

/// A set's members, each as its own owners signed it.
Result<void> check_members(Session& session, Api& api, std::string const& root, wire::Release const& release) {
  for (auto const& member : release.members) {
    FLEET_TRY(auto const trusted, fetch_trusted(session, api, root, {member.model, member.version}));
    if (!trusted.entry) return Error{Kind::signature, "not_signed", fmt::format("nobody that {} trusts signed member {}@{}", root, member.model, member.version)};
    FLEET_TRY(auto const digest, trusted.entry->sha256());
    if (digest != member.digest)
      return unexpected(fmt::format("member {}@{} was signed with digest {}, the set has {}", member.model, member.version, digest.hex(), member.digest.hex()));
  }
  return {};
}

/// @param verb  the route, by what the person is: who publishes, or who approves
Result<int> send(Session& session, Api& api, trust::Proposal const& proposal, std::string const& path, ReleaseRef const& ref, std::string_view verb) {
  FLEET_TRY(auto const text, trust::encode(proposal));
  if (!path.empty()) FLEET_CHECK(session.around().fs.replace(path, text));
  auto const answer = api.send(net::Method::post, Route(verb, {ref.model}).target(), text, {{"Content-Type", "application/json"}});
  if (answer) {
    session.say(fmt::format("{}@{} is signed and approved", ref.model, ref.version));
    return 0;
  }
  auto error = answer.error();
  if (error.code == "threshold_unmet" && path.empty()) error.hint = "--proposal FILE keeps your signature for those who sign next";
  if (error.code != "threshold_unmet" || path.empty()) return error;
  session.say(fmt::format("{}; it is kept in {} for the next signer: fleetctl release approve {}@{} --proposal {} --root ROOT --key FILE",
                          answer.error().detail, path, ref.model, ref.version, path));
  return kWaitsForPerson;
}

}  // namespace

Command with_signing(Command command) {
  using enum Option::Kind;
  std::vector<Option> const more{
      {values, "--key", "FILE", "sign with this key of trust offline keygen, or pkcs11:... for one in a token; again for each"},
      {value, "--root", "FILE", "with --key: the root you pinned (trust export-root), from which everything is checked before signing"},
      {value, "--proposal", "FILE", "where signatures are collected, when more than one must sign"},
      {value, "--passphrase-file", "FILE", "its first line opens keys that are sealed"}};
  command.options.insert(command.options.end(), more.begin(), more.end());
  return command;
}

Result<std::vector<trust::Signer>> load_signers(Session& session, Arguments const& arguments) {
  auto const root = arguments.text("root");
  if (root.empty())
    return Error{Kind::bad_input, "bad_argument", "--key goes with --root FILE",
                 "fleetctl trust export-root > pinned-root.json, once, from a server you trust"};
  FLEET_CHECK(check_root_file(session.around().fs, root));
  return load_signing_keys(session.around().fs, arguments.texts("key"), arguments.text("passphrase-file"));
}

Result<int> sign_release(Session& session, Arguments const& arguments, std::vector<trust::Signer> const& keys, ReleaseRef const& ref,
                         wire::Release const* published, std::function<Result<int>()> const& agree) {
  auto const root = arguments.text("root"), path = arguments.text("proposal"), role = "m-" + ref.model;
  FLEET_TRY(auto* const api, session.api());
  FLEET_TRY(auto const trusted, fetch_trusted(session, *api, root, ref));
  if (trusted.entry) {
    session.say(fmt::format("{}@{} is signed already", ref.model, ref.version));
    return agree();
  }
  if (!trusted.role) return Error{Kind::signature, "not_signed", fmt::format("nobody that {} trusts signs for {}", root, ref.model)};
  FLEET_TRY(auto proposal, load_proposal(session, *api, path, ref));
  if (proposal.files.size() != 1 || proposal.files[0].role != role || proposal.role != role)
    return unexpected("the proposal is of more than the model's releases");
  FLEET_CHECK(trust::check_nothing_hidden(role, as_bytes(proposal.files[0].after)));
  FLEET_TRY(auto const before, read_targets(*trusted.role));
  FLEET_TRY(auto const after, read_targets(as_bytes(proposal.files[0].after)));
  FLEET_TRY(auto const entry, the_addition(before, after, fmt::format("models/{}/{}/release.json", ref.model, ref.version), session.now()));
  FLEET_TRY(auto const digest, entry.sha256());
  FLEET_TRY(auto const release, fetch_document(*api, ref, digest.hex()));
  FLEET_CHECK(check_entry(entry, release, ref));
  FLEET_CHECK(published != nullptr ? check_published(*published, release) : check_files(*api, release));
  FLEET_CHECK(check_members(session, *api, root, release));
  session.say(fmt::format("signing {}@{}: {}", ref.model, ref.version, wire::encode(release)));
  if (auto const floor = release.manifest.security_floor; floor > 0)
    session.say(fmt::format("its security_floor is {}: a device that has committed it takes no release of counter {} or less again", floor, floor - 1));
  FLEET_TRY(int const agreed, agree());
  if (agreed != 0) return agreed;
  FLEET_TRY(proposal.files[0].after, trust::cosign(proposal.files[0].after, keys));
  return send(session, *api, proposal, path, ref, published == nullptr ? "/models/{}:countersign" : "/models/{}:sign");
}

}  // namespace fleet::cli
