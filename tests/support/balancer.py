"""A balancer of TCP connections, as stands before several servers: usage: balancer.py PORT_FILE SERVERS_FILE SECONDS

Listens on loopback, writes its port to PORT_FILE. Each connection goes to one of the servers that SERVERS_FILE names (host:port a line, read anew each time), at
random, or to another where that one does not take it; it is cut after SECONDS at the most, so that those who come again come to another.
"""
import os
import random
import selectors
import socket
import sys
import threading
import time

port_file, servers_file, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])


def connect():
    with open(servers_file, encoding="ascii") as lines:
        servers = [line.strip().rsplit(":", 1) for line in lines if line.strip()]
    random.shuffle(servers)
    for host, port in servers:
        try:
            return socket.create_connection((host, int(port)), timeout=2)
        except OSError:
            continue
    return None


def carry(client):
    server = connect()
    if server is None:
        client.close()
        return
    end = time.monotonic() + random.uniform(0.2, 1) * seconds
    with client, server, selectors.DefaultSelector() as ready:
        ready.register(client, selectors.EVENT_READ, server)
        ready.register(server, selectors.EVENT_READ, client)
        try:
            while time.monotonic() < end:
                for key, _ in ready.select(timeout=0.2):
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    key.data.sendall(data)
        except OSError:
            return


with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
    with open(port_file + ".new", "w", encoding="ascii") as out:
        out.write(str(listener.getsockname()[1]))
    os.rename(port_file + ".new", port_file)
    while True:
        threading.Thread(target=carry, args=(listener.accept()[0],), daemon=True).start()
