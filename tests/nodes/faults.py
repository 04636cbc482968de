"""Servers, connections and PostgreSQL are killed, stopped and cut, again and again, while people write and rollouts go on; then what was acknowledged must be there.

usage, below tests/support/with_postgres: faults.py BIN [--faults 200] [--devices 60] [--seed N] [--clock-ahead]
"""
import argparse
import collections
import os
import random
import signal
import sys
import threading
import time

import fleet as fleets
from fleet import Refused
from history import History

LATER = (0, 408, 429, 502, 503)  # nobody knows, or come again
POLICY = "stages: [{percent: 20, bake: 1s}, {percent: 60, bake: 1s}, {percent: 100}]\nstrata: [hardware]\non_harm: pause\non_deadline: pause\n"


class Trial:
    def __init__(self, arguments):
        self.random = random.Random(arguments.seed)
        self.fleet = fleets.Fleet(arguments.bin, 3, {3: 1} if arguments.clock_ahead else {})
        self.history = History()
        self.devices = [f"d{i}" for i in range(arguments.devices)]
        self.faults = arguments.faults
        self.made = collections.Counter()
        self.rollouts = 0
        self.ended = threading.Event()
        self.broken = []

    def patiently(self, dice, ask):
        """Asks one server after the other until one has answered. None: it ended first."""
        while not self.ended.is_set():
            try:
                return ask(dice.choice(self.fleet.nodes))
            except Refused as refused:
                if refused.status not in LATER and not (refused.status == 409 and "in_use" in str(refused)):
                    raise
                self.history.unknown += refused.status == 0
                time.sleep(0.2)
        return None

    def write_labels(self, number):
        dice, n = random.Random(number), 0
        while not self.ended.is_set():
            n += 1
            device, name, value = dice.choice(self.devices), f"w{number}-{n % 30}", str(n)
            self.history.asked += 1
            # The same words say the same however often: repeated until they are acknowledged.
            if self.patiently(dice, lambda node: self.fleet.ask(node, "PATCH", f"/api/v1/devices/{device}", {"labels": {name: value}})) is None:
                continue
            self.history.labels = [one for one in self.history.labels if one[:2] != (device, name)] + [(device, name, value)]
            time.sleep(0.02)

    def make_tokens(self, number):
        dice, n = random.Random(1000 + number), 0
        while not self.ended.is_set():
            n += 1
            key = f"token-{number}-{n}"
            self.history.asked += 1
            made = self.patiently(dice, lambda node: self.fleet.ask(node, "POST", "/api/v1/device-tokens", {"count": 1, "id": f"spare-{key}"}, key=key))
            if made is not None:
                self.history.tokens[key] = made["items"][0]["id"]
            time.sleep(0.1)

    def roll_out(self):
        dice, version = random.Random(7), 0
        policy = self.fleet.work / "policy.yaml"
        policy.write_text(POLICY)
        self.insist(dice, "model", "create", "m")
        while not self.ended.is_set():
            version += 1
            folder = self.fleet.work / "release"
            folder.mkdir(exist_ok=True)
            (folder / "model.bin").write_text(f"{version}\n")
            self.insist(dice, "release", "publish", "--model", "m", "--version", version, "--variant", f"cam-a={folder}", "-o", "name")
            rollout = self.insist(dice, "rollout", "create", "--release", f"m@{version}", "--all", "--policy", policy, "--start", "-o", "name", "--idempotency-key", f"rollout-{version}")
            self.rollouts += 1
            self.await_rollout(dice, rollout)

    def await_rollout(self, dice, rollout):
        end = time.monotonic() + 600
        while time.monotonic() < end:
            try:
                found = self.fleet.ask(dice.choice(self.fleet.nodes), "GET", f"/api/v1/rollouts/{rollout}")
            except Refused:
                time.sleep(0.3)
                continue
            if found["state"] == "completed":
                return
            if found["state"] != "running":
                raise RuntimeError(f"rollout {rollout} is {found['state']}: {found.get('reason')} {found.get('verdict')}")
            time.sleep(0.3)
        raise RuntimeError(f"rollout {rollout} does not end")

    def insist(self, dice, *words):
        """By fleetctl, which repeats what may be repeated; at another server where one does not answer."""
        for _ in range(100):
            try:
                return self.fleet.ctl(dice.choice(self.fleet.nodes), "--timeout", "10s", *words)
            except RuntimeError as failed:
                if "_exists" in str(failed):
                    return ""
                last = failed
                time.sleep(0.5)
        raise last

    # Faults. Each ends with everything running.
    def kill(self, dice):
        node = dice.choice(self.fleet.nodes)
        node.kill()
        time.sleep(dice.uniform(0, 3))
        self.start(node)

    def end(self, dice):
        node = dice.choice(self.fleet.nodes)
        node.kill(signal.SIGTERM)
        self.start(node)

    def start(self, node):
        for _ in range(20):
            if node.start():
                return
            time.sleep(1)
        raise RuntimeError(f"server {node.number} does not start again")

    def stop(self, dice):
        node = dice.choice(self.fleet.nodes)
        node.process.send_signal(signal.SIGSTOP)
        time.sleep(dice.uniform(0.5, 9))
        node.process.send_signal(signal.SIGCONT)

    def cut(self, dice):
        try:
            self.fleet.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'fleet' AND pid <> pg_backend_pid() AND random() < {dice.uniform(0.2, 1)}")
        except RuntimeError:
            pass

    def kill_postgres(self, _):
        self.fleet.restart_postgres(signal.SIGKILL)

    def restart_postgres(self, _):
        self.fleet.restart_postgres(signal.SIGINT)

    def make_faults(self):
        kinds = [(self.kill, 6), (self.end, 2), (self.stop, 6), (self.cut, 6), (self.kill_postgres, 1), (self.restart_postgres, 1)]
        for n in range(self.faults):
            fault = self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
            fault(self.random)
            self.made[fault.__name__] += 1
            if n % 20 == 19:
                print(f"  {n + 1} faults, {self.rollouts} rollouts, {self.history.asked} writes", flush=True)
            time.sleep(self.random.uniform(0, 2))
            if self.broken:
                return

    def guarded(self, work, *arguments):
        def call():
            try:
                work(*arguments)
            except Exception as error:  # told at the end, with everything still there to be looked at
                self.broken.append(f"{work.__name__}: {error!r}")

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        return thread

    def run(self):
        for device in self.devices:
            self.fleet.add_agent(device)
        print(f"3 servers, {len(self.devices)} devices", flush=True)
        writers = [self.guarded(self.write_labels, 1), self.guarded(self.write_labels, 2), self.guarded(self.make_tokens, 1), self.guarded(self.roll_out)]
        self.make_faults()
        self.ended.set()
        for writer in writers:
            writer.join(timeout=700)
        for node in self.fleet.nodes:
            node.kill(signal.SIGTERM)
        checks = list(self.history.check(self.fleet, len(self.devices)))
        checked = fleets.subprocess.run([self.fleet.bin / "fleet-server", "check", "--data", self.fleet.nodes[0].dir], capture_output=True, text=True, check=False)
        checks.append(("fleet-server check", [] if checked.returncode == 0 else [checked.stdout + checked.stderr]))
        checks.append(("nothing broke", self.broken))
        for what, wrong in checks:
            if wrong:
                print(f"WRONG: {what}: {wrong[:5]}")
        wrong = sum(1 for _, found in checks if found)
        made = ", ".join(f"{count} {kind}" for kind, count in sorted(self.made.items()))
        print(f"{sum(self.made.values())} faults ({made}); {self.rollouts} rollouts, {self.history.asked} writes, {self.history.unknown} of unknown fate; {len(checks)} checks, {wrong} wrong")
        return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bin")
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--devices", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--clock-ahead", action="store_true", help="the third server's clock is an hour ahead")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    trial = Trial(arguments)
    code = 1
    try:
        code = trial.run()
    finally:
        if code == 0 or not os.environ.get("KEEP"):
            trial.fleet.end()
        else:
            print(f"kept: {trial.fleet.work}")
    return code


sys.exit(main())
