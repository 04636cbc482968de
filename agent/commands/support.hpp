#pragma once

#include "agent/conditions/conditions.hpp"
#include "agent/link/link.hpp"

namespace fleet::agent {

/// Obeys the server's order for a support bundle (docs/protocol.md, collect): once, over a metered link only where the order says so. What a server still
/// asks for after a day was lost on the way, and is made anew. One thread uses it.
class Support {
public:
  Support(Context& context, Runner& runner, Link& link) : context_(context), runner_(runner), link_(link), conditions_(context) {}
  /// What to send now, or nothing.
  std::optional<wire::ReportItem> take();

private:
  Context& context_;
  Runner& runner_;
  Link& link_;
  Conditions conditions_;
  std::string answered_;  ///< id of the order that was obeyed last
  MonoTime again_at_{};
};

}  // namespace fleet::agent
