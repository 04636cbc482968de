#include "cli/commands/published.hpp"

#include "cli/render/json.hpp"
#include "cli/render/text.hpp"

#include <fmt/format.h>
#include <boost/json/value.hpp>

namespace fleet::cli {
namespace json = boost::json;

Result<void> check_model(Api& api, std::string const& model) {
  auto const known = api.get(Route("/models/{}", {model}));
  if (known) return {};
  auto error = known.error();
  if (error.kind == Kind::not_found) error.hint = "is the name right? A new model is made with: fleetctl model create " + model;
  return error;
}

Result<void> tell_what_it_waits_for(Session& session, Api& api, std::string const& model, std::string const& version) {
  FLEET_TRY(auto const trust, api.get(Route("/trust")));
  bool here = false;
  if (auto const* const roles = render::member(trust, "roles").if_array())
    for (auto const& role : *roles) here = here || (render::text_at(role, "role") == "m-" + model && render::text_at(role, "held") == "here");
  if (here) session.say(fmt::format("it waits for approval: fleetctl release approve {}@{} --reason TEXT", model, version));
  else
    session.say(fmt::format("it waits for the owners' signatures: fleetctl trust offline prepare m-{} --release {} --out FILE, or --key and --root here", model,
                            version));
  return {};
}

}  // namespace fleet::cli
