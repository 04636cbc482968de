"""What the readers share: threads that read digits as fast as they may with whatever is loaded, samples, a health endpoint, and a journal of each inference for who counts.

A runtime gives `load(folder)`, which returns a function: 64 pixels of 0..1 -> ten probabilities; serve() gives it its labels. `--golden` is the release's own test.
"""
import argparse
import csv
import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import fleet_device  # noqa: E402


def read_rows(path):
    with open(path, newline="") as file:
        return [[float(cell) / 16 for cell in row[:64]] for row in csv.reader(file) if row]


def with_labels(load):
    """The labels belong to the model: they come from the same folder, at the same time."""

    def both(folder):
        infer = load(folder)
        labels = (pathlib.Path(folder) / "labels.txt").read_text().split()
        if len(labels) != 10:
            raise ValueError("{} labels in {}".format(len(labels), folder))

        def read(pixels):
            digits = infer(pixels)
            return labels[max(range(10), key=digits.__getitem__)], digits

        return read

    return both


def answer_line(label, digits):
    return "{},{}".format(label, ",".join("{:.4f}".format(p + 0.0) for p in digits))


def golden(load):
    """Reads $FLEET_INPUTS with the release in $FLEET_SLOT, for the agent to compare."""
    read = with_labels(load)(os.environ["FLEET_SLOT"])
    with open(os.environ["FLEET_OUTPUT"], "w") as out:
        for pixels in read_rows(os.environ["FLEET_INPUTS"]):
            out.write(answer_line(*read(pixels)) + "\n")


class Reader:
    """One thread's work; each has its own journal, so that none waits for another."""

    def __init__(self, live, statsd, rows, journal, pause_s):
        self.live, self.statsd, self.rows, self.journal, self.pause_s = live, statsd, rows, journal, pause_s
        self.done, self.failed, self.last_slot = 0, 0, None

    def run(self, stopped):
        at = 0
        while not stopped.is_set():
            with self.live.use(timeout_s=60) as (_, slot):
                batch = self.statsd.batch(slot)
            # A batch is of one release: it ends where the release does.
            for _ in range(20):
                with self.live.use() as (read, used):
                    if used != slot:
                        break
                    began = time.perf_counter()
                    try:
                        label, digits = read(self.rows[at % len(self.rows)])
                    except Exception as fault:
                        self.failed += 1
                        self.journal.write("{} {} failed: {}\n".format(used.digest, at % len(self.rows), str(fault).replace("\n", " ")))
                        continue
                    took = (time.perf_counter() - began) * 1000
                self.journal.write("{} {} {}\n".format(used.digest, at % len(self.rows), answer_line(label, digits)))
                batch.count("inferences")
                batch.timing("latency_ms", took)
                batch.sample("confidence", max(digits))
                at, self.done, self.last_slot = at + 1, self.done + 1, used
                if self.pause_s:
                    time.sleep(self.pause_s)
            batch.flush()


def serve(load):
    parser = argparse.ArgumentParser()
    parser.add_argument("--golden", action="store_true", help="the release's own test, as the manifest asks for it")
    parser.add_argument("--root", help="the agent's folder")
    parser.add_argument("--model", default="reader")
    parser.add_argument("--rows", help="CSV of pixels")
    parser.add_argument("--journal", help="folder for what was read, a file a thread")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pause-ms", type=float, default=1.0)
    parser.add_argument("--port-file", help="where to write the health endpoint's port")
    given = parser.parse_args()
    if given.golden:
        return golden(load)
    rows = read_rows(given.rows)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    statsd = fleet_device.StatsD(given.root)
    live = fleet_device.Live(given.root, given.model, with_labels(load), changed=lambda slot, fault: print("loaded" if fault is None else "kept the one before", slot.digest if slot else None, flush=True))
    pathlib.Path(given.journal).mkdir(parents=True, exist_ok=True)
    files = [open(pathlib.Path(given.journal) / "thread-{}".format(i), "w", buffering=1 << 16) for i in range(given.threads)]
    readers = [Reader(live, statsd, rows, file, given.pause_ms / 1000) for file in files]
    threads = [threading.Thread(target=one.run, args=(stopped,), daemon=True) for one in readers]
    health = fleet_device.Health(lambda: (live.slot is not None, {"release": live.slot.digest if live.slot else None, "inferences": sum(one.done for one in readers)}))
    if given.port_file:
        pathlib.Path(given.port_file).write_text(str(health.port))
    for thread in threads:
        thread.start()
    stopped.wait()
    for thread in threads:
        thread.join(timeout=30)
    health.close()
    live.close()
    for file in files:
        file.close()
    print("{} inferences, {} failed".format(sum(one.done for one in readers), sum(one.failed for one in readers)), flush=True)
    return 0
