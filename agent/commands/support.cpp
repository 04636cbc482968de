#include "agent/commands/support.hpp"

#include "agent/commands/commands.hpp"
#include "agent/commands/daemon.hpp"
#include "core/base/log.hpp"

namespace fleet::agent {
namespace {

constexpr std::chrono::hours kAgain{24};

}  // namespace

std::optional<wire::ReportItem> Support::take() {
  auto const order = runner_.told().collect;
  auto const now = context_.clock.mono();
  if (!order || (order->id == answered_ && now < again_at_)) return std::nullopt;
  if (!order->metered && conditions_.is_metered(context_.stop)) return std::nullopt;
  answered_ = order->id;
  again_at_ = now + kAgain;
  auto const status = status_json(context_, runner_.models(), {link_.server(), link_.last_contact(), link_.last_error()});
  auto content = collected(context_.fs, context_.layout, status, wire::kSupportBytesMax);
  if (!content) {
    log::warn("support.not_collected", {{"order", order->id}, {"error", content.error().detail}});
    return std::nullopt;
  }
  log::info("support.collected", {{"order", order->id}, {"bytes", content->size()}});
  wire::ReportItem item;
  item.support = wire::SupportItem{context_.clock.wall(), order->id, *std::move(content)};
  return item;
}

}  // namespace fleet::agent
