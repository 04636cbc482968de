#!/usr/bin/env python3
"""Reads digits by asking a Triton server, which says with each answer which release gave it. It knows nothing of switches: Triton has the model, `triton_load.py` has it load the next."""
import argparse
import http.client
import json
import pathlib
import signal
import sys
import threading
import time

from serve import answer_line, fleet_device, read_rows


class Asker:
    """One thread's connection."""

    def __init__(self, address, root, model, rows, journal, pause_s):
        self.host, self.port = address.split(":")
        self.root, self.model, self.rows, self.journal, self.pause_s = root, model, rows, journal, pause_s
        self.done, self.failed, self.statsd, self.connection = 0, 0, fleet_device.StatsD(root), None

    def ask(self, row):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.host, int(self.port), timeout=30)
        body = json.dumps({"inputs": [{"name": "pixels", "shape": [64], "datatype": "FP32", "data": row}]})
        self.connection.request("POST", "/v2/models/{}/infer".format(self.model), body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        content = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(content.get("error", answer.status))
        outputs = {one["name"]: one["data"] for one in content["outputs"]}
        return outputs["release"][0], outputs["label"][0], outputs["digits"]

    def run(self, stopped):
        at = 0
        while not stopped.is_set():
            number, began = at % len(self.rows), time.perf_counter()
            at += 1
            try:
                release, label, digits = self.ask(self.rows[number])
            except Exception as fault:
                self.failed += 1
                self.connection = None
                self.journal.write("- {} failed: {}\n".format(number, str(fault).replace("\n", " ")))
                time.sleep(0.05)
                continue
            self.journal.write("{} {} {}\n".format(release, number, answer_line(label, digits)))
            with self.statsd.batch(fleet_device.Slot(pathlib.Path(), release)) as batch:
                batch.count("inferences")
                batch.timing("latency_ms", (time.perf_counter() - began) * 1000)
            self.done += 1
            time.sleep(self.pause_s)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--triton", "--root", "--rows", "--journal"):
        parser.add_argument(name, required=True)
    parser.add_argument("--model", default="reader")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pause-ms", type=float, default=1.0)
    given = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    pathlib.Path(given.journal).mkdir(parents=True, exist_ok=True)
    files = [open(pathlib.Path(given.journal) / "thread-{}".format(i), "w", buffering=1 << 16) for i in range(given.threads)]
    askers = [Asker(given.triton, given.root, given.model, read_rows(given.rows), file, given.pause_ms / 1000) for file in files]
    threads = [threading.Thread(target=one.run, args=(stopped,), daemon=True) for one in askers]
    for thread in threads:
        thread.start()
    stopped.wait()
    for thread in threads:
        thread.join(timeout=60)
    for file in files:
        file.close()
    print("{} inferences, {} failed".format(sum(one.done for one in askers), sum(one.failed for one in askers)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
