#include "cli/signing/trusted.hpp"

#include "cli/client/metadata.hpp"
#include "core/crypto/hash.hpp"
#include "core/trust/metadata.hpp"
#include "core/trust/proposal.hpp"

#include <fmt/format.h>

namespace fleet::cli {
namespace {

constexpr std::uint64_t kRootBytesMax = 512'000;

}  // namespace

Result<void> check_root_file(Fs& fs, std::string const& path) {
  FLEET_TRY(auto const text, fs.read(path, kRootBytesMax));
  auto const file = trust::read_signed(as_bytes(text), kRootBytesMax);
  auto const root = file ? trust::decode_root(*file) : Result<trust::Root>(file.error());
  if (root) return {};
  return Error{Kind::bad_input, "no_root", fmt::format("{} is no root: {}", path, root.error().detail),
               trust::decode_proposal(text) ? "it is a proposal; the root is what trust export-root wrote" : "fleetctl trust export-root > pinned-root.json"};
}

Result<TrustedView> fetch_trusted(Session& session, Api& api, std::string const& root_file, ReleaseRef const& ref) {
  FLEET_TRY(auto const root, session.around().fs.read(root_file, kRootBytesMax));
  MemoryStore kept;
  FetchedMetadata fetched(api, "/tuf/");
  FLEET_CHECK(trust::Updater::init(kept, as_bytes(root)));
  FLEET_TRY(auto updater, trust::Updater::load(kept, fetched, session.now()));
  FLEET_CHECK(updater.refresh());
  TrustedView out;
  FLEET_TRY(out.entry, updater.find(fmt::format("models/{}/{}/release.json", ref.model, ref.version)));
  FLEET_TRY(out.role, kept.load("m-" + ref.model));
  return out;
}

Result<wire::Release> fetch_document(Api& api, ReleaseRef const& ref, std::string const& digest) {
  FLEET_TRY(auto const answer, api.send(net::Method::get, fmt::format("/tuf/targets/models/{}/{}/{}.release.json", ref.model, ref.version, digest)));
  auto const got = crypto::sha256(answer.body).hex();
  if (got != digest) return Error{Kind::signature, "digest_mismatch", fmt::format("release.json has digest {}, expected {}", got, digest)};
  FLEET_TRY(auto release, wire::decode_release(answer.body));
  if (wire::encode(release) == answer.body) return release;
  return Error{Kind::signature, "unexpected_change", "release.json holds more than this tool knows, or is written otherwise",
               "a newer server made it? use the fleetctl of the same version"};
}

}  // namespace fleet::cli
