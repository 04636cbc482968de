#include "agent/delivery/fetcher.hpp"

#include "core/base/log.hpp"

namespace fleet::agent {
namespace {

/// What no other source would change.
bool is_final(Fetcher const& with, Error const& error) {
  return with.stop || error.code == "disk_full" || error.code == "over_budget" || error.code == "waits" || error.code == "cancelled" || error.kind == Kind::io;
}

}  // namespace

bool is_lie(Error const& error) { return error.code == "digest_mismatch" || error.code == "too_long" || error.code == "stored_mismatch"; }

Result<void> ask_sources(Fetcher const& with, std::string_view what, std::function<std::uint64_t()> const& have,
                         std::function<Result<void>(std::string const& source)> const& ask) {
  Error last{Kind::unavailable, "network", "no source answered"};
  for (auto const& source : with.sources.in_order(with.throttle.now())) {
    auto const before = have();
    auto const got = ask(source);
    if (got) {
      with.sources.worked(source);
      return {};
    }
    last = got.error();
    log::info("download.source_failed",
              {{"file", what}, {"source", source.empty() ? with.remote.server() : source}, {"have", have()}, {"code", last.code}, {"error", last.detail}});
    if (is_final(with, last)) break;
    if (is_lie(last)) with.sources.lied(source, with.throttle.now());
    else if (have() <= before && last.kind != Kind::not_found) with.sources.failed(source, with.throttle.now());
  }
  return last;
}

}  // namespace fleet::agent
