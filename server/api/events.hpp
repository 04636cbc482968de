#pragma once

#include "server/api/route.hpp"

namespace fleet::api {

/// GET /events. With `Accept: application/json` a list of what came after `?after=ID`. Otherwise Server-Sent Events (WHATWG HTML, 9.2), each answer
/// a finite stream: it waits for events after `Last-Event-ID` for a while, sends those there are and ends; `retry` tells the client to come again.
/// Without a `Last-Event-ID` the stream starts now.
void get_events(Services& services, Call&& call, net::Responder responder);

}  // namespace fleet::api
