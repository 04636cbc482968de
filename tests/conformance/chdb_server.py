"""usage: chdb_server.py FOLDER PORT   ClickHouse's HTTP, as much of it as a fleet-server speaks, before chdb (PyPI): today's engine in a process, with its data in FOLDER.
What it is told runs in the engine as it came; only rows that follow an INSERT go by a file, for chdb has no other way in. User `fleet`, password `s3cret`, database `fleet`."""
import base64
import http.server
import os
import sys
import threading
import urllib.parse

from chdb import session

folder, port = sys.argv[1], int(sys.argv[2])
engine = session.Session(os.path.join(folder, "chdb"))
engine.query("CREATE DATABASE IF NOT EXISTS fleet")
engine.query("USE fleet")
alone = threading.Lock()
allowed = "Basic " + base64.b64encode(b"fleet:s3cret").decode()
FORMAT = " FORMAT RowBinary"


def run(statement, rows):
    if statement is None:
        return engine.query(rows.decode("utf-8", "surrogateescape")).bytes()
    assert statement.endswith(FORMAT), statement
    path = os.path.join(folder, "rows.bin")
    with open(path, "wb") as file:
        file.write(rows)
    engine.query(f"{statement.removesuffix(FORMAT)} FROM INFILE '{path}'{FORMAT}")
    return b""


class Http(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        asked = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        status, told = 200, b""
        if self.headers["Authorization"] != allowed:
            status, told = 403, b"Code: 516. DB::Exception: Authentication failed"
        else:
            try:
                with alone:
                    told = run(asked.get("query", [None])[0], body)
            except Exception as error:  # as the engine says it
                status, told = 500, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *words):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Http).serve_forever()
