#!/usr/bin/env python3
"""Stands between a server and an S3 and does what it is told, a word in a file: pass, throttle (503 SlowDown to every second request), cut (half of each larger body of a GET),
lie (another byte in each body of a GET), refuse (closes at once). usage: s3_between.py --to PORT --port-file FILE --mode-file FILE"""
import argparse
import http.client
import http.server
import itertools
import socketserver

arguments = argparse.ArgumentParser()
arguments.add_argument("--to", type=int, required=True)
arguments.add_argument("--port-file", required=True)
arguments.add_argument("--mode-file", required=True)
options = arguments.parse_args()
count = itertools.count()


def mode():
    with open(options.mode_file, encoding="ascii") as file:
        return file.read().strip()


class Between(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body, sent):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(sent)

    def relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        now = mode()
        if now == "refuse":
            self.close_connection = True
            return
        if now == "throttle" and next(count) % 2 == 0:
            text = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
            self.answer(503, [], text, text)
            return
        upstream = http.client.HTTPConnection("127.0.0.1", options.to)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            upstream.putheader(name, value)
        upstream.endheaders(body)
        got = upstream.getresponse()
        length = got.getheader("Content-Length")
        content = got.read()
        if self.command == "HEAD":
            self.send_response(got.status)
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            return
        spoiled = content
        if self.command == "GET" and got.status in (200, 206) and now == "cut" and len(content) > 65536:
            spoiled = content[: len(content) // 2]
            self.close_connection = True
        if self.command == "GET" and got.status in (200, 206) and now == "lie" and content:
            spoiled = content[:-1] + bytes([content[-1] ^ 1])
        self.answer(got.status, got.getheaders(), content, spoiled)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = relay


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Between)
with open(options.port_file, "w", encoding="ascii") as file:
    file.write(f"{server.server_port}\n")
server.serve_forever()
