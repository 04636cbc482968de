#include "agent/handlers/handler.hpp"

#include "core/wire/handler_keys.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::agent {

Result<void> check_handler(wire::Release const& release, Config const& config) {
  if (std::vector<FieldError> faults; release.model == wire::kAgentModel || release.manifest.handler == wire::kAgentHandler) {
    wire::check_agent_release(release, faults);
    if (!faults.empty()) return Error{Kind::unprocessable, "ineligible", fmt::format("{}@{}: {}: {}", release.model, release.version, faults.front().pointer, faults.front().detail)};
  }
  auto const& allowed = config.handlers;
  auto const& wanted = release.manifest.handler;
  if (release.is_set() || std::find(allowed.begin(), allowed.end(), wanted) != allowed.end()) return {};
  bool const known = std::find(wire::kHandlers.begin(), wire::kHandlers.end(), wanted) != wire::kHandlers.end();
  return Error{Kind::unprocessable, "ineligible",
               known ? fmt::format("{}@{} is installed by the handler {}, and this device allows {} (handlers in its agent.yaml)", release.model, release.version, wanted,
                                   fmt::join(allowed, ", "))
                     : fmt::format("{}@{} is installed by the handler '{}', which this agent does not have", release.model, release.version, wanted)};
}

std::optional<wire::Variant> contents_of(Slots const& slots, std::string const& model, std::string const& digest, wire::Release const& release,
                                         wire::Variant const& variant) {
  if (release.manifest.handler != wire::kArchiveHandler) return variant;
  auto tree = slots.load_tree(model, digest);
  return tree ? std::optional(*std::move(tree)) : std::nullopt;
}

}  // namespace fleet::agent
