#include "agent/handlers/installer.hpp"
#include "agent/update/model_update.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>

/// Where a program of the owner installs releases (the handler exec; docs/devices.md, Installers): what the machine's steps ask it.
namespace fleet::agent {

Result<void> ModelUpdate::ask(Verb verb, std::string const& model, Version const& version, wire::Release const& release, std::string const& previous) {
  auto const installation = installation_of(model, version, release, previous);
  if (!installation) return {};
  auto const asked = ask_installer(bench(), *installation, verb);
  if (interrupt_.is_raised()) return Error{Kind::unavailable, "interrupted", fmt::format("{} {}: something else is wanted meanwhile", installation->installer.program, to_string(verb))};
  if (asked) log::info("installer.done", {{"model", model}, {"version", version.version}, {"verb", to_string(verb)}});
  return asked;
}

std::optional<Installation> ModelUpdate::installation_of(std::string const& model, Version const& version, wire::Release const& release, std::string const& previous) const {
  auto const& manifest = release.manifest;
  if (manifest.handler != wire::kExecHandler || !manifest.installer) return std::nullopt;
  Installation out{candidate_of(model, version), *manifest.installer};
  if (auto const* const variant = wire::find_variant(release, context_.identity.hardware))
    for (auto const& file : variant->files) out.files.push_back(file.name);
  out.hardware = context_.identity.hardware;
  out.previous = previous;
  return out;
}

std::optional<wire::Release> ModelUpdate::kept_release(std::string const& model, std::string const& digest) const {
  if (digest.empty()) return std::nullopt;
  auto const document = context_.slots.load_release(model, digest);
  auto release = document ? wire::decode_release(*document) : Result<wire::Release>(document.error());
  return release ? std::optional(*std::move(release)) : std::nullopt;
}

Result<void> ModelUpdate::install_parts(ModelState const& state) {
  FLEET_TRY(auto const parts, parts_of(state));
  for (auto const& part : parts) {
    auto const running = is_member(part) ? context_.journal.state(part.model).running : state.running;
    FLEET_CHECK(ask(Verb::install, part.model, part.version, part.release, running.digest));
  }
  return {};
}

/// From one version to the one before it. Where another program installed that one, or none did, each is told its part.
Result<void> ModelUpdate::uninstall(std::string const& model, Version const& from, Version const& to) {
  auto const left = kept_release(model, from.digest), back = kept_release(model, to.digest);
  if (left) FLEET_CHECK(ask(Verb::rollback, model, from, *left, to.digest));
  auto const program = [](std::optional<wire::Release> const& release) { return release && release->manifest.installer ? release->manifest.installer->program : std::string(); };
  return back && program(back) != program(left) ? ask(Verb::switch_to, model, to, *back, from.digest) : Result<void>{};
}

/// Before the documents go that say who installed what: each program is told what stays, all of it, so that a call that was lost is made up for by the next.
void ModelUpdate::collect_installed(std::string const& model, std::set<std::string> const& kept) {
  auto const digests = context_.slots.releases(model);
  std::map<std::string, Installation> asked;
  for (auto const& digest : digests ? *digests : std::vector<std::string>{}) {
    if (kept.contains(digest)) continue;
    auto const release = kept_release(model, digest);
    if (!release) continue;
    if (auto installation = installation_of(model, {digest, release->version}, *release, {})) asked.insert_or_assign(installation->installer.program, *std::move(installation));
  }
  for (auto& [program, installation] : asked) {
    installation.keep.assign(kept.begin(), kept.end());
    if (auto const done = ask_installer(bench(), installation, Verb::collect); !done) log_failed("collect what is installed", done.error());
  }
}

/// What the installer says runs, where that is another release than the journal has, or none: a boot loader went back, or a person did.
std::optional<Version> ModelUpdate::runs_instead(ModelState const& state) {
  if (is_own()) {
    auto const& slot = context_.outside.own->slot;
    if (slot == state.running.digest) return std::nullopt;
    auto const known = kept_release(model_, slot);
    return Version{slot, known ? known->version : std::string()};
  }
  auto const release = kept_release(model_, state.running.digest);
  auto const installation = release ? installation_of(model_, state.running, *release, {}) : std::nullopt;
  if (!installation) return std::nullopt;
  auto const answers = installer_answers(bench(), *installation, Verb::state);
  if (!answers) {
    log_failed("ask what runs", answers.error());
    return std::nullopt;
  }
  auto const found = answers->find("current");
  if (found == answers->end() || found->second == state.running.digest) return std::nullopt;
  if (found->second.empty()) return Version{};
  auto const other = kept_release(model_, found->second);
  if (!other) log::warn("installer.unknown_release", {{"model", model_}, {"current", found->second}, {"journal", state.running.digest}});
  return other ? std::optional(Version{found->second, other->version}) : std::nullopt;
}

/// At start. In probation it has failed, and goes the way back in order; at rest what is found is what runs, is told, and what did not stay is not taken again by itself.
/// A switch asks by itself: it is taken up again.
void ModelUpdate::settle_installed() {
  auto state = this->state();
  if (state.state != State::probation && !at_rest(state.state)) return;
  auto const other = runs_instead(state);
  if (!other) return;
  if (auto const done = fall_back(std::move(state), *other); !done) log_failed("fall back", done.error());
}

Result<void> ModelUpdate::fall_back(ModelState state, Version const& other) {
  auto const left = state.running;
  auto const found = other.none() ? std::string("none of its releases") : other.version;
  wire::DeviceError const why{"fell_back", fmt::format("{} did not stay: {} was running when the device started", left.version, found), {}};
  log::warn("update.fell_back", {{"model", model_}, {"from", left.version}, {"to", found}});
  if (!at_rest(state.state)) {
    FLEET_CHECK(fail(std::move(state), why));
    return {};
  }
  state.refusals.push_back({state.running.digest, state.rollout, state.attempt});
  state.target = state.running;
  state.previous = other == state.previous ? state.older : Version{};
  state.older = {};
  state.running = other;
  state.unproven.reset();
  state.state = State::rolled_back;
  state.error = fit_to_tell(why);
  show(state);  // so it is, whether the disk takes it now or later
  FLEET_CHECK(other.none() ? context_.slots.remove_current(model_) : context_.slots.switch_to(model_, other.digest));
  if (is_own()) own_link_ = other.digest;
  FLEET_CHECK(context_.journal.save(state));
  report(state);
  if (other.none()) run_hook(context_.config.removed_hook, model_, left);
  else run_hook(context_.config.switched_hook, model_, other);
  return {};
}

}  // namespace fleet::agent
