"""Samples for the agent. Sending never waits and never fails the app: what nobody takes is counted."""
import socket
from typing import Optional

from .slot import Slot

_DATAGRAM_MAX = 8 * 1024  # below what every Linux takes by a Unix socket


class StatsD:
    """Datagrams to DIR/run/statsd.sock, each sample with its release: untagged ones are no evidence.

    with statsd.batch(slot) as samples: samples.count("inferences"); samples.timing("latency_ms", 12.5)
    """

    def __init__(self, root, path: Optional[str] = None) -> None:
        self._path = path or "{}/run/statsd.sock".format(root)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.lost = 0  # datagrams that nobody took

    def batch(self, slot: Slot, **tags: str) -> "Batch":
        return Batch(self, slot, tags)

    def send(self, datagram: bytes) -> None:
        try:
            self._socket.sendto(datagram, self._path)
        except OSError:  # no agent, no right to send, or its queue is full
            self.lost += 1

    def close(self) -> None:
        self._socket.close()


class Batch:
    """Samples of one release that go together."""

    def __init__(self, statsd: StatsD, slot: Slot, tags) -> None:
        self._statsd, self._lines, self._size = statsd, [], 0
        self._tags = "|#" + ",".join(["release:" + slot.digest] + ["{}:{}".format(key, value) for key, value in tags.items()])

    def count(self, name: str, by: int = 1) -> None:
        self._add(name, by, "c")

    def gauge(self, name: str, value: float) -> None:
        self._add(name, value, "g")

    def timing(self, name: str, milliseconds: float) -> None:
        self._add(name, milliseconds, "ms")

    def sample(self, name: str, value: float) -> None:
        """One value of a distribution: an accuracy of 0 or 1, a confidence."""
        self._add(name, value, "d")

    def _add(self, name: str, value: float, kind: str) -> None:
        line = "{}:{:.10g}|{}{}\n".format(name, value, kind, self._tags).encode()
        if self._size + len(line) > _DATAGRAM_MAX:
            self.flush()
        self._lines.append(line)
        self._size += len(line)

    def flush(self) -> None:
        if self._lines:
            self._statsd.send(b"".join(self._lines))
        self._lines, self._size = [], 0

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *_) -> None:
        self.flush()
