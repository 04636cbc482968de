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

void write_handler(Manifest const& manifest, boost::json::object& out) {
  if (manifest.handler != kFilesHandler) out["handler"] = manifest.handler;
  if (manifest.installer) out["installer"] = boost::json::object{{"program", manifest.installer->program}, {"timeout", to_string(manifest.installer->timeout)}};
}

}  // namespace fleet::wire
