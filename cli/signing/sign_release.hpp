#pragma once

#include "cli/args/command.hpp"
#include "cli/args/refs.hpp"
#include "cli/client/session.hpp"
#include "core/trust/proposal.hpp"
#include "core/wire/release.hpp"

#include <functional>
#include <vector>

namespace fleet::cli {

/// --key, --root, --proposal, --passphrase-file: of the commands that sign a release where its model's keys lie elsewhere.
[[nodiscard]] Command with_signing(Command command);

/// The keys and the root of the command line, before anything is sent. @errors bad_input, not_found, unauthenticated
[[nodiscard]] Result<std::vector<trust::Signer>> load_signers(Session& session, Arguments const& arguments);

/// Signs a draft with the keys of the command line, after repeating every check from a pinned root: that what is signed adds this one release to what the
/// owners signed before and changes nothing else, that the release's document is what the metadata says, and that it is what was just published, whole, or,
/// for an approver, that the server's files are what it says, fetched and computed anew.
/// @param published  what this publisher sent; null: an approver
/// @param agree      what else the person does, once everything was found right and before the signature leaves; an exit code
/// @returns the exit code: 0 approved, 9 when more keys must sign (the proposal is kept in --proposal)
/// @errors signature (unexpected_change, digest_mismatch, not_signed), bad_input, and what the server says
[[nodiscard]] Result<int> sign_release(Session& session, Arguments const& arguments, std::vector<trust::Signer> const& keys, ReleaseRef const& ref,
                                       wire::Release const* published, std::function<Result<int>()> const& agree);

}  // namespace fleet::cli
