#include "cli/commands/nouns.hpp"
#include "cli/commands/output.hpp"
#include "cli/signing/proposal_text.hpp"
#include "cli/signing/signing_keys.hpp"
#include "cli/commands/trust.hpp"
#include "cli/render/json.hpp"
#include "core/trust/audit_chain.hpp"
#include "core/trust/proposal.hpp"

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <charconv>

namespace fleet::cli {
namespace json = boost::json;
namespace {

Result<trust::Proposal> read_proposal(Session& session, std::string const& path) {
  FLEET_TRY(auto const text, session.around().fs.read(path, trust::Proposal::kBytesMax));
  auto proposal = trust::decode_proposal(text);
  if (proposal) return proposal;
  auto error = proposal.error();
  error.detail = path + ": " + error.detail;
  return error;
}

Result<int> keygen(Session& session, Arguments const& arguments) {
  auto const path = arguments.text("out");
  FLEET_TRY(auto const key, make_signing_key(session.around().fs, session.around().random, path, arguments.text("passphrase-file")));
  session.say(fmt::format("made {0} (keep it: nobody can make it again) and {0}.pub (give it to the one who prepares)", path));
  session.data(crypto::key_id(key) + "\n");
  return 0;
}

Result<int> export_key(Session& session, Arguments const& arguments) {
  auto const path = arguments.text("out");
  FLEET_TRY(auto const key, export_public_key(session.around().fs, arguments.text("key"), path));
  session.say(fmt::format("wrote {} (give it to the one who prepares)", path));
  session.data(crypto::key_id(key) + "\n");
  return 0;
}

/// Keys and threshold, releases, or nothing: the role is signed again as it is.
Result<json::object> what_changes(Session& session, Arguments const& arguments) {
  json::object body;
  json::array keys;
  for (auto const& path : arguments.texts("key")) {
    FLEET_TRY(auto const key, load_public_key(session.around().fs, path));
    keys.push_back(json::parse(trust::encode(key)));
  }
  auto const text = arguments.text("threshold", "1");
  int threshold = 0;
  auto const [end, fault] = std::from_chars(text.data(), text.data() + text.size(), threshold);
  if (fault != std::errc{} || end != text.data() + text.size() || threshold < 1)
    return Error{Kind::bad_input, "bad_argument", fmt::format("--threshold {}: expected a whole number from 1", text)};
  if (keys.empty() && arguments.has("threshold"))
    return Error{Kind::bad_input, "bad_argument", "--threshold goes with --key", "name every key that shall sign from now on"};
  if (keys.empty()) return body;
  body["keys"] = std::move(keys);
  body["threshold"] = threshold;
  return body;
}

Result<int> prepare(Session& session, Arguments const& arguments) {
  auto const role = arguments.text("ROLE");
  auto const& releases = arguments.texts("release");
  auto const path = arguments.text("out");
  if (session.around().fs.info(path))
    return Error{Kind::conflict, "file_exists", path + " is there already", "name another file: it may hold signatures, or the root that somebody pinned"};
  FLEET_TRY(auto body, what_changes(session, arguments));
  if (!releases.empty() && (body.contains("keys") || !role.starts_with("m-")))
    return Error{Kind::bad_input, "bad_argument", "--release goes with a role m-MODEL, and without --key",
                 "change the keys first, then sign releases with them"};
  FLEET_TRY(auto* const api, session.api());
  if (releases.empty()) body["role"] = role;
  else body["releases"] = json::array(releases.begin(), releases.end());
  auto const route = releases.empty() ? Route("/trust:prepare") : Route("/models/{}:prepare", {std::string_view(role).substr(2)});
  FLEET_TRY(auto const answer, api->post(route, body));
  FLEET_TRY(auto const proposal, trust::decode_proposal(answer.body));
  FLEET_CHECK(session.around().fs.replace(path, answer.body));
  session.data(proposal_text(proposal));
  session.say(fmt::format("next, where the keys are: fleetctl trust offline sign {} --key FILE", path));
  return 0;
}

Result<int> show(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const proposal, read_proposal(session, arguments.text("FILE")));
  session.data(proposal_text(proposal));
  FLEET_CHECK(check_readable(proposal));
  return 0;
}

/// With no network: a file, keys, and what the signer reads before saying yes.
Result<int> sign(Session& session, Arguments const& arguments) {
  auto& fs = session.around().fs;
  auto const path = arguments.text("FILE");
  FLEET_TRY(auto proposal, read_proposal(session, path));
  FLEET_TRY(auto const keys, load_signing_keys(fs, arguments.texts("key"), arguments.text("passphrase-file")));
  session.say(proposal_text(proposal));
  FLEET_CHECK(check_readable(proposal));
  FLEET_CHECK(check_floors(proposal));
  FLEET_CHECK(session.confirm(fmt::format("This signs it with {} key{}.", keys.size(), keys.size() == 1 ? "" : "s")));
  for (auto& file : proposal.files) {
    FLEET_TRY(file.after, trust::cosign(file.after, keys));
  }
  FLEET_TRY(auto const text, trust::encode(proposal));
  FLEET_CHECK(fs.replace(path, text));
  session.say(fmt::format("signed {}; when enough have: fleetctl trust offline import {}", path, path));
  return 0;
}

Result<int> import_file(Session& session, Arguments const& arguments) {
  FLEET_TRY(auto const proposal, read_proposal(session, arguments.text("FILE")));
  FLEET_TRY(auto const text, trust::encode(proposal));
  FLEET_TRY(auto* const api, session.api());
  // Releases alone are the publisher's business, keys the administrator's.
  bool const releases = proposal.files.size() == 1 && proposal.role.starts_with("m-");
  auto const route = releases ? Route("/models/{}:sign", {std::string_view(proposal.role).substr(2)}) : Route("/trust:import");
  FLEET_TRY(auto const answer, api->send(net::Method::post, route.target(), text, {{"Content-Type", "application/json"}}));
  FLEET_TRY(auto const trust, answer.json());
  return show_trust(session, trust);
}

}  // namespace

std::vector<Command> const& trust_offline_commands() {
  using enum Option::Kind;
  static Option const file{argument, "FILE", "", "what `trust offline prepare` made"};
  static Option const passphrase{value, "--passphrase-file", "FILE", "its first line opens keys that are sealed"};
  static std::vector<Command> const rows{
      {"trust offline keygen",
       "a key for a role that shall not be signed by the server; needs no network",
       "trust offline keygen --out alice.key --passphrase-file pass",
       keygen,
       {{value, "--out", "FILE", "the key, 0600; FILE.pub is for everybody", true}, {value, "--passphrase-file", "FILE", "seal the key by its first line"}}},
      {"trust offline export-key",
       "the public half of a key that lies in a token (PKCS #11), for the one who prepares; needs no network",
       "trust offline export-key --key 'pkcs11:token=release;object=alice?pin-source=file:/run/pin' --out alice.pub",
       export_key,
       {{value, "--key", "URI", "the key, by RFC 7512", true}, {value, "--out", "FILE.pub", "where to write it", true}}},
      {"trust offline prepare",
       "metadata that gives a role to other keys, signs releases or just lasts longer, to be signed elsewhere",
       "trust offline prepare m-reader --key alice.key.pub --key bob.key.pub --key eve.key.pub --threshold 2 --out m-reader.json\n"
       "trust offline prepare m-reader --release 2.0.0 --out release.json\n"
       "trust offline prepare root --out root-proposal.json",
       prepare,
       {{argument, "ROLE", "", "root, targets, m-MODEL or directive-root"},
        {values, "--key", "FILE.pub", "who signs the role from now on; none: who does today"},
        {value, "--threshold", "N", "how many of them must (1)"},
        {values, "--release", "VERSION", "a draft to approve by signing"},
        {value, "--out", "FILE", "where to write it", true}}},
      {"trust offline show", "what a prepared file changes, and who signed it; needs no network", "trust offline show root.json", show, {file}},
      {"trust offline sign",
       "sign a prepared file; needs no network",
       "trust offline sign root.json --key alice.key --yes",
       sign,
       {file, {values, "--key", "FILE", "a key of `trust offline keygen`, or pkcs11:... for one in a token", true}, passphrase}},
      {"trust offline import", "bring back what enough keys signed", "trust offline import root.json", import_file, {file}},
  };
  return rows;
}

}  // namespace fleet::cli
