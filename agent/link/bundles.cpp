#include "agent/link/link.hpp"

#include "core/base/log.hpp"

#include <fmt/format.h>

#include <set>

/// Orders that come by file (docs/adr/0039).
namespace fleet::agent {
namespace {

/// Whether the bundle holds what a target names.
bool brings(bundle::Bundle const& bundle, wire::DirectiveTarget const& target) {
  auto const slash = target.path.rfind('/');
  auto const name = fmt::format("{}targets/{}/{}.release.json", bundle::kMetadata, target.path.substr(0, slash == std::string::npos ? 0 : slash), digest_of(target));
  return target.action == wire::Action::install && bundle.files().contains(name);
}

}  // namespace

Result<std::int64_t> Link::offer(std::unique_ptr<File> bundle) {
  std::int64_t n = 0;
  {
    std::lock_guard const lock(mutex_);
    if (offered_) return Error{Kind::unavailable, "bundle_waits", "another bundle has not been looked at yet", "try again"};
    offered_ = std::move(bundle);
    n = installing_.n + 1;
    installing_ = {.n = n};
  }
  hurry();
  return n;
}

Installing Link::installing() const {
  std::lock_guard const lock(mutex_);
  return installing_;
}

void Link::take_offered() {
  Installing out;
  std::unique_ptr<File> file;
  {
    std::lock_guard const lock(mutex_);
    file = std::move(offered_);
    out.n = installing_.n;
  }
  if (!file) return;
  auto const accepted = accept_bundle(std::move(file), out);
  out.state = accepted ? Installing::State::accepted : Installing::State::refused;
  if (!accepted) {
    log::warn("bundle.refused", {{"code", accepted.error().code}, {"error", accepted.error().detail}});
    out.error = accepted.error();
  }
  std::lock_guard const lock(mutex_);
  if (installing_.n == out.n) installing_ = std::move(out);
}

Result<void> Link::accept_bundle(std::unique_ptr<File> file, Installing& out) {
  FLEET_TRY(auto const opened, bundle::Bundle::open(std::move(file)));
  auto const envelope = opened->read(bundle::directive_name(context_.identity.id), bundle::kDirectiveBytesMax);
  if (!envelope && envelope.error().kind == Kind::not_found)
    return Error{Kind::forbidden, "foreign_bundle", fmt::format("the bundle has no order for device '{}'", context_.identity.id), "export one that names this device"};
  FLEET_CHECK(envelope);
  bundle::BundleFetcher roots(*opened, bundle::kDirectiveRoots);
  FLEET_TRY(auto directive, verifier_.verify_bundled(*envelope, roots, runner_.told()));
  out.sequence = directive.sequence;
  std::set<std::string> models;
  for (auto const& target : directive.targets) {
    if (!brings(*opened, target)) continue;
    models.insert(target.model);
    out.targets.push_back(target);
  }
  if (models.empty()) return Error{Kind::bad_input, "bad_bundle", "the bundle's order for this device names no release that it holds"};
  log::info("bundle.accepted", {{"sequence", directive.sequence}, {"brings", models.size()}});
  runner_.bundles().put({opened, directive.sequence, directive.issued_at}, std::move(models));
  return obey(std::move(directive));
}

}  // namespace fleet::agent
