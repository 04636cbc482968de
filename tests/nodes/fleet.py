"""Processes of a fleet of several servers: PostgreSQL's own below tests/support/with_postgres, servers, agents, a balancer."""
import glob
import json
import os
import pathlib
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PHRASE = "a phrase that opens the keys\n"


class Refused(Exception):
    """An answer that is no 2xx. `status` 0: none came, and nobody knows."""

    def __init__(self, status, text):
        super().__init__(f"{status} {text}")
        self.status = status


def run(*words, **how):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **how)
    if done.returncode != 0:
        raise RuntimeError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def until(seconds, what, holds):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.1)


def works_in(link):
    try:
        return os.readlink(link)
    except OSError:
        return None


class Node:
    def __init__(self, fleet, number):
        self.fleet, self.number = fleet, number
        self.dir = fleet.work / f"n{number}"
        self.api = self.devices = 0
        self.process = None

    def start(self):
        endpoints = self.dir / "endpoints.json"
        endpoints.unlink(missing_ok=True)
        words = [self.fleet.bin / "fleet-server", "run", "--data", self.dir, "--api", f"127.0.0.1:{self.api}", "--devices", f"127.0.0.1:{self.devices}"]
        environment = dict(os.environ)
        if self.number in self.fleet.hours_ahead:
            library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
            environment |= {"LD_PRELOAD": library[0], "FAKETIME": f"+{self.fleet.hours_ahead[self.number]}h", "DONT_FAKE_MONOTONIC": "1"}
        with open(self.dir.with_suffix(".log"), "ab") as log:
            self.process = subprocess.Popen([str(word) for word in words], stdout=log, stderr=log, env=environment)
        try:
            until(40, f"server {self.number} starts", lambda: endpoints.exists() and endpoints.stat().st_size > 0 or self.process.poll() is not None)
        except TimeoutError:
            self.kill()
        if self.process.poll() is not None:
            return False
        told = json.loads(endpoints.read_text())
        self.api, self.devices = (int(told[name].rsplit(":", 1)[1]) for name in ("api", "devices"))
        self.fleet.list_servers()
        return True

    def kill(self, how=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait()


class Fleet:
    def __init__(self, binaries, servers, hours_ahead):
        self.bin = pathlib.Path(binaries).resolve()
        self.work = pathlib.Path(run("mktemp", "-d", "/tmp/fleet-nodes.XXXXXX").strip())
        self.work.chmod(0o755)
        self.postgres = os.environ["FLEET_TEST_POSTGRES"]
        self.postgres_dir = pathlib.Path(os.environ["FLEET_TEST_POSTGRES_DIR"])
        self.hours_ahead = hours_ahead
        self.others = []
        self.agents = {}
        self.listing = threading.Lock()
        run("psql", self.postgres, "-qc", "CREATE DATABASE fleet TEMPLATE template0")
        self.url = self.postgres.replace("postgres?", "fleet?", 1)
        self.nodes = [Node(self, number) for number in range(1, servers + 1)]
        first = self.nodes[0]
        run(self.bin / "fleet-server", "init", "--data", first.dir, "--host", "localhost", "--database", self.url, "--blobs", self.work / "blobs")
        self.token = (first.dir / "admin.token").read_text().strip()
        self.ca = first.dir / "ca.pem"
        self.tls = ssl.create_default_context(cafile=str(self.ca))
        assert first.start(), "the first server starts"
        phrase = self.work / "phrase"
        phrase.write_text(PHRASE)
        run(self.bin / "fleet-server", "node", "export-keys", "--data", first.dir, "--to", self.work / "keys", "--passphrase-file", phrase)
        for node in self.nodes[1:]:
            run(self.bin / "fleet-server", "node", "join", "--data", node.dir, "--database", self.url, "--blobs", self.work / "blobs", "--keys", self.work / "keys", "--passphrase-file", phrase)
            assert node.start(), f"server {node.number} starts"
        port = self.work / "balancer.port"
        self.others.append(subprocess.Popen([sys.executable, HERE.parent / "support/balancer.py", port, self.work / "servers", "10"]))
        until(10, "the balancer", port.exists)
        self.balanced = f"https://localhost:{port.read_text()}"

    def list_servers(self):
        with self.listing:
            new = self.work / "servers.new"
            new.write_text("".join(f"127.0.0.1:{node.devices}\n" for node in self.nodes if node.devices))
            new.rename(self.work / "servers")

    def ask(self, node, method, path, body=None, key=None, timeout=8):
        """JSON of an answer. Raises Refused."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        if method == "PATCH":
            headers["If-Match"] = "*"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"https://localhost:{node.api}{path}", data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.tls) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")[:300]) from None
        except (OSError, ValueError, EOFError) as error:
            raise Refused(0, repr(error)) from None
        except Exception as error:  # http.client's own: an answer that was cut
            raise Refused(0, repr(error)) from None

    def ctl(self, node, *words):
        environment = dict(os.environ, FLEETCTL_SERVER=f"https://localhost:{node.api}", FLEETCTL_CA=str(self.ca), FLEETCTL_TOKEN_FILE=str(self.nodes[0].dir / "admin.token"))
        return run(self.bin / "fleetctl", "--no-color", "-q", *words, env=environment).strip()

    def add_agent(self, name):
        root = self.work / name
        root.mkdir()
        (root / "agent.yaml").write_text("poll: {interval: 2s, jitter: 0.2}\ntelemetry: {interval: 2s}\n" + ("exec: {run_as: nobody}\n" if os.getuid() == 0 else ""))
        token = root / "token"
        token.write_text(self.ctl(self.nodes[0], "device", "token", "create", "--id", name, "--hardware", "cam-a") + "\n")
        run(self.bin / "fleet-agent", "enroll", "--root", root, "--server", self.balanced, "--ca", self.ca, "--token-file", token, "--id", name, "--hardware", "cam-a")
        with open(self.work / f"{name}.log", "ab") as log:
            self.agents[name] = subprocess.Popen([self.bin / "fleet-agent", "run", "--root", root], stdout=log, stderr=log)

    def sql(self, text):
        out = run("psql", self.url, "-qAtF|", "-c", text)
        return [line.split("|") for line in out.splitlines() if line]

    def postmaster(self):
        return int((self.postgres_dir / "data/postmaster.pid").read_text().split()[0])

    def restart_postgres(self, how):
        pid = self.postmaster()
        os.kill(pid, how)
        until(30, "PostgreSQL ends", lambda: not any(works_in(at) == str(self.postgres_dir / "data") for at in glob.glob("/proc/[0-9]*/cwd")))
        (self.postgres_dir / "data/postmaster.pid").unlink(missing_ok=True)
        time.sleep(0.5)
        self.others.append(subprocess.Popen([self.postgres_dir / "start"], start_new_session=False))
        until(30, "PostgreSQL is back", lambda: subprocess.run(["psql", self.postgres, "-qAtc", "SELECT 1"], capture_output=True, check=False).returncode == 0)

    def end(self):
        for process in [*self.agents.values(), *(node.process for node in self.nodes if node.process), *self.others]:
            if process.poll() is None:
                process.kill()
        run("rm", "-rf", self.work)
