"""usage: relay.py PORT TARGET_PORT FOLDER [CERTIFICATE KEY]   HTTP, with a certificate HTTPS, to 127.0.0.1:TARGET_PORT. While FOLDER/hold is there, what was asked is done, and nobody is told: the answer to an insert
stays away; FOLDER/held is made once one did."""
import http.client
import http.server
import os
import ssl
import sys
import time

port, target, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


class Relay(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            to = http.client.HTTPConnection("127.0.0.1", target, timeout=30)
            to.request("POST", self.path, body, {"Authorization": self.headers["Authorization"]})
            answer = to.getresponse()
            status, told = answer.status, answer.read()
        except OSError:
            self.close_connection = True  # as one that is not there
            return
        if "query=INSERT" in self.path and os.path.exists(folder + "/hold"):
            open(folder + "/held", "w").close()
            while os.path.exists(folder + "/hold"):
                time.sleep(0.05)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Relay)
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
