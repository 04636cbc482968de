"""An endpoint on loopback for the manifest's health check: `health: [{http: "http://127.0.0.1:9000/healthz"}]`."""
import http.server
import json
import threading
from typing import Callable, Optional, Tuple


class Health:
    """Answers 200 while `check` gives (True, ...), else 503; the second value is shown as JSON. What `check` raises is 503, too.

    port 0 picks a free one; `port` tells which.
    """

    def __init__(self, check: Callable[[], Tuple[bool, dict]], port: int = 0, path: str = "/healthz") -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                good, shown = (False, {"error": "no such path"}) if self.path != path else outer._ask()
                body = json.dumps(shown).encode()
                self.send_response(200 if good else 404 if self.path != path else 503)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                pass

        outer = self
        self._check = check
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread: Optional[threading.Thread] = threading.Thread(target=self._server.serve_forever, name="fleet-device-health", daemon=True)
        self._thread.start()

    def _ask(self) -> Tuple[bool, dict]:
        try:
            return self._check()
        except Exception as fault:  # an app that cannot say how it is is not well
            return False, {"error": str(fault)}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
