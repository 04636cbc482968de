"""The package against folders and sockets as the agent makes them. usage: python3 -m unittest discover -s tests"""
import fcntl
import hashlib
import json
import os
import pathlib
import random
import socket
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import fleet_device  # noqa: E402
from fleet_device.live import available_bytes  # noqa: E402


class Device:
    """What an agent leaves on the disk: slots, and a link that is switched by a rename."""

    def __init__(self, test):
        self.folder = tempfile.TemporaryDirectory()
        test.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        self.home = self.root / "models" / "reader"
        (self.root / "run").mkdir(parents=True)

    def add(self, name, files=None):
        digest = hashlib.sha256(name.encode()).hexdigest()
        slot = self.home / "versions" / digest
        slot.mkdir(parents=True)
        for file, content in (files or {"a": name, "b": name}).items():
            (slot / file).write_text(content)
        return fleet_device.Slot(slot, digest)

    def switch(self, slot):
        new = self.home / "current.new"
        os.symlink("versions/" + slot.digest, new)
        os.rename(new, self.home / "current")

    def remove(self):
        os.unlink(self.home / "current")


def until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


class SlotTest(unittest.TestCase):
    def test_the_link_is_read_once(self):
        device = Device(self)
        self.assertIsNone(fleet_device.current_slot(device.root, "reader"))
        one, two = device.add("1"), device.add("2")
        device.switch(one)
        slot = fleet_device.current_slot(device.root, "reader")
        device.switch(two)
        self.assertEqual((slot.path / "a").read_text(), "1")
        self.assertEqual(slot, one)
        self.assertEqual(fleet_device.current_slot(device.root, "reader"), two)


class WatchTest(unittest.TestCase):
    def watch(self, **options):
        device = Device(self)
        one, two = device.add("1"), device.add("2")
        watch = fleet_device.Watch(device.root, "reader", **options)
        self.assertIsNone(watch.wait(None, 0.01))
        device.switch(one)
        self.assertEqual(watch.wait(None, 5), one)
        timer = threading.Timer(0.05, device.switch, [two])
        timer.start()
        began = time.monotonic()
        self.assertEqual(watch.wait(one, 5), two)
        took = time.monotonic() - began
        self.assertEqual(watch.wait(two, 0.05), two)
        device.remove()
        self.assertIsNone(watch.wait(two, 5))
        threading.Timer(0.05, watch.stop).start()
        self.assertIsNone(watch.wait(None))
        watch.close()
        return took

    def test_inotify_tells_at_once(self):
        self.assertLess(self.watch(poll_s=3), 1.5)

    def test_looking_tells_too(self):
        self.watch(poll_s=0.02, use_inotify=False)

    def test_a_model_that_comes_later_is_seen(self):
        device = Device(self)
        watch = fleet_device.Watch(device.root, "reader", poll_s=0.02)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(watch.wait(None, 5)))
        thread.start()
        time.sleep(0.05)
        one = device.add("1")
        device.switch(one)
        thread.join()
        self.assertEqual(seen, [one])
        watch.close()


class LiveTest(unittest.TestCase):
    def test_under_load_no_request_fails_and_none_is_of_two_releases(self):
        device = Device(self)
        slots = [device.add(str(i)) for i in range(5)]
        device.switch(slots[0])
        unloaded, loaded_at_once, most = [], [0], [0]

        def load(folder):
            loaded_at_once[0] += 1
            most[0] = max(most[0], loaded_at_once[0])
            first = (folder / "a").read_text()
            time.sleep(random.random() * 0.002)  # a switch may come between two files
            return {"a": first, "b": (folder / "b").read_text(), "open": True}

        def unload(model):
            loaded_at_once[0] -= 1
            model["open"] = False
            unloaded.append(model["a"])

        live = fleet_device.Live(device.root, "reader", load, unload)
        wrong, done, stop = [], [0] * 4, threading.Event()

        def work(i):
            while not stop.is_set():
                with live.use() as (model, slot):
                    name = (slot.path / "a").read_text()
                    good = model["open"] and model["a"] == model["b"] == name
                    time.sleep(0.0005)
                    if not good or not model["open"]:
                        wrong.append((model, slot))
                done[i] += 1

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for i in range(200):
            device.switch(slots[i % 5])
            time.sleep(0.003)
        device.switch(slots[3])
        self.assertTrue(until(lambda: live.slot == slots[3]))
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(min(done), 20)
        self.assertGreater(len(unloaded), 20)
        live.close()
        self.assertEqual(loaded_at_once[0], 0)
        self.assertGreaterEqual(most[0], 2)  # the new one is loaded beside the old one

    def test_what_does_not_load_leaves_the_old_one(self):
        device = Device(self)
        one, bad, two = device.add("1"), device.add("bad"), device.add("2")

        def load(folder):
            if (folder / "a").read_text() == "bad":
                raise ValueError("no model")
            return (folder / "a").read_text()

        told = []
        live = fleet_device.Live(device.root, "reader", load, changed=lambda slot, fault: told.append((slot, fault)))
        with self.assertRaises(fleet_device.NothingLoaded):
            with live.use(timeout_s=0.01):
                pass
        for slot, serves in ((one, "1"), (bad, "1"), (two, "2")):
            count = len(told)
            device.switch(slot)
            self.assertTrue(until(lambda: len(told) > count))
            with live.use() as (model, used):
                self.assertEqual(model, serves)
        self.assertIsInstance(told[1][1], ValueError)
        count = len(told)
        device.remove()
        self.assertTrue(until(lambda: len(told) > count))
        self.assertIsNone(live.slot)
        live.close()

    def test_where_memory_is_short_the_old_one_goes_first_and_comes_back_where_the_new_one_does_not_load(self):
        self.assertGreater(available_bytes(), 1 << 20)
        device = Device(self)
        one, two, bad = device.add("1"), device.add("2"), device.add("bad")
        loaded, most = set(), [0]

        def load(folder):
            name = (folder / "a").read_text()
            if name == "bad":
                raise ValueError("no model")
            loaded.add(name)
            most[0] = max(most[0], len(loaded))
            return name

        told = []
        live = fleet_device.Live(device.root, "reader", load, loaded.discard, needs=lambda folder: 1 << 60, changed=lambda slot, fault: told.append(slot))
        for slot, serves in ((one, "1"), (two, "2"), (bad, "2")):
            count = len(told)
            device.switch(slot)
            self.assertTrue(until(lambda: len(told) > count))
            with live.use() as (model, _):
                self.assertEqual(model, serves)
        self.assertEqual(most[0], 1)
        live.close()


class StatsDTest(unittest.TestCase):
    def test_samples_carry_the_release_and_nobody_waits(self):
        device = Device(self)
        slot = device.add("1")
        statsd = fleet_device.StatsD(device.root)
        with statsd.batch(slot) as samples:
            samples.count("inferences")
        self.assertEqual(statsd.lost, 1)  # no agent
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        server.bind(str(device.root / "run" / "statsd.sock"))
        server.settimeout(5)
        with statsd.batch(slot, line="a") as samples:
            samples.count("inferences", 3)
            samples.timing("latency_ms", 12.5)
            samples.sample("accuracy", 1)
            samples.gauge("level", 0.25)
        tags = "|#release:" + slot.digest + ",line:a"
        self.assertEqual(server.recv(65536).decode().split("\n")[:-1], ["inferences:3|c" + tags, "latency_ms:12.5|ms" + tags, "accuracy:1|d" + tags, "level:0.25|g" + tags])
        for _ in range(20_000):
            with statsd.batch(slot) as samples:
                samples.count("inferences")
        self.assertGreater(statsd.lost, 1)  # a queue that is full is no reason to wait
        with statsd.batch(slot) as samples:
            for _ in range(500):
                samples.count("inferences")
        statsd.close()
        server.close()


class HealthTest(unittest.TestCase):
    def ask(self, port, path="/healthz"):
        try:
            with urllib.request.urlopen("http://127.0.0.1:{}{}".format(port, path), timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read())

    def test_it_answers_as_the_app_is(self):
        state = {"good": True}

        def check():
            if state["good"] is None:
                raise RuntimeError("cannot tell")
            return state["good"], {"inferences": 7}

        health = fleet_device.Health(check)
        self.assertEqual(self.ask(health.port), (200, {"inferences": 7}))
        self.assertEqual(self.ask(health.port, "/other")[0], 404)
        state["good"] = False
        self.assertEqual(self.ask(health.port)[0], 503)
        state["good"] = None
        self.assertEqual(self.ask(health.port), (503, {"error": "cannot tell"}))
        health.close()


class OwnerTest(unittest.TestCase):
    def test_the_update_lock_is_shared_by_apps_and_keeps_the_agent_off(self):
        device = Device(self)
        (device.root / "run" / "update.lock").touch()
        with open(device.root / "run" / "update.lock") as agents:
            with fleet_device.update_lock(device.root), fleet_device.update_lock(device.root, wait=False):
                with self.assertRaises(BlockingIOError):
                    fcntl.flock(agents, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(agents, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self.assertRaises(BlockingIOError):
                with fleet_device.update_lock(device.root, wait=False):
                    pass

    def test_consent_and_why_it_waits_are_the_agents_commands(self):
        device = Device(self)
        agent = device.root / "fleet-agent"
        agent.write_text("""#!/bin/sh
[ "$1" = status ] && echo '{"models":[{"model":"reader","state":"waiting","because":[{"code":"consent","text":""}]},{"model":"other","state":"committed","because":[{"code":"x","text":""}]}]}'
[ "$1" = status ] || echo "$@" >>%s/asked
""" % device.root)
        agent.chmod(0o755)
        self.assertEqual(fleet_device.waiting_for(device.root, "reader", str(agent)), ["consent"])
        self.assertEqual(fleet_device.waiting_for(device.root, "other", str(agent)), [])
        fleet_device.consent(device.root, "reader", str(agent))
        self.assertEqual((device.root / "asked").read_text(), "consent --root {} --model reader\n".format(device.root))


class CheckTest(unittest.TestCase):
    def test_a_runtime_checks_what_was_signed(self):
        device = Device(self)
        sha = hashlib.sha256(b"weights").hexdigest()
        document = json.dumps({"model": "reader", "version": "1", "variants": [{"hardware": ["cam-a"], "files": [{"name": "a", "size": 7, "sha256": sha}]}], "manifest": {}}).encode()
        digest = hashlib.sha256(document).hexdigest()
        slot = fleet_device.Slot(device.home / "versions" / digest, digest)
        slot.path.mkdir(parents=True)
        (device.home / "releases").mkdir()
        (device.home / "releases" / (digest + ".json")).write_bytes(document)
        (slot.path / "a").write_text("weights")
        self.assertEqual(fleet_device.check_slot(slot, "cam-a")["version"], "1")
        with self.assertRaises(fleet_device.CheckFailed):
            fleet_device.check_slot(slot, "cam-b")
        (slot.path / "a").write_text("changed")
        with self.assertRaises(fleet_device.CheckFailed):
            fleet_device.check_slot(slot, "cam-a")
        (device.home / "releases" / (digest + ".json")).write_bytes(document + b" ")
        with self.assertRaises(fleet_device.CheckFailed):
            fleet_device.check_slot(slot, "cam-a")


if __name__ == "__main__":
    unittest.main()
