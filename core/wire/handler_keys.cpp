#include "core/wire/handler_keys.hpp"

#include "core/base/names.hpp"
#include "core/wire/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fleet::wire {
namespace {

Installer read_installer(boost::json::value const& value, std::string const& pointer, bool strict, std::vector<FieldError>& faults) {
  ObjectReader reader(value, pointer, faults);
  Installer out;
  out.program = reader.required_text("program", 64);
  if (auto const named = check_id("program", out.program); !named) reader.fault("program", named.error().detail);
  out.timeout = reader.duration("timeout").value_or(out.timeout);
  if (out.timeout <= Millis{0} || out.timeout > kProgramTimeMax) reader.fault("timeout", fmt::format("must be longer than 0, and at most {}", to_string(kProgramTimeMax)));
  if (strict) reader.refuse_unknown();
  return out;
}

}  // namespace

void read_handler(ObjectReader& manifest, std::string const& at, bool strict, Manifest& out, std::vector<FieldError>& faults) {
  out.handler = manifest.text("handler", 32, out.handler);
  bool const known = std::find(kHandlers.begin(), kHandlers.end(), out.handler) != kHandlers.end();
  if (strict && !known) manifest.fault("handler", fmt::format("is one of {}, got '{}'", fmt::join(kHandlers, ", "), out.handler));
  if (auto const* const installer = manifest.find("installer")) out.installer = read_installer(*installer, at + "/installer", strict, faults);
  bool const is_exec = out.handler == kExecHandler;
  if (is_exec && !out.installer) manifest.fault("installer", "is required by the handler exec: {program: NAME}");
  if (strict && !is_exec && out.installer) manifest.fault("installer", fmt::format("belongs to the handler exec, and the handler is {}", out.handler));
}

void check_agent_release(Release const& release, std::vector<FieldError>& faults) {
  bool const by_agent = release.manifest.handler == kAgentHandler;
  if (by_agent != (release.model == kAgentModel)) {
    faults.push_back({"/manifest/handler", by_agent ? fmt::format("agent is the handler of the model {}, and of no other", kAgentModel)
                                                    : fmt::format("the model {} is the agent's own program: its handler is agent", kAgentModel)});
    return;
  }
  if (!by_agent) return;
  if (!release.manifest.variants.empty()) faults.push_back({"/manifest/variants", "the agent's program has one variant a hardware"});
  for (std::size_t i = 0; i < release.variants.size(); ++i) {
    auto const& files = release.variants[i].files;
    bool const has = std::any_of(files.begin(), files.end(), [](ReleaseFile const& file) { return file.name == kAgentProgram && file.executable; });
    if (!has) faults.push_back({fmt::format("/variants/{}/files", i), fmt::format("has no executable file '{}'", kAgentProgram)});
  }
}

void write_handler(Manifest const& manifest, boost::json::object& out) {
  if (manifest.handler != kFilesHandler) out["handler"] = manifest.handler;
  if (manifest.installer) out["installer"] = boost::json::object{{"program", manifest.installer->program}, {"timeout", to_string(manifest.installer->timeout)}};
}

}  // namespace fleet::wire
