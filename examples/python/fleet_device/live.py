"""The model that is loaded, and the change to the next one while requests go on."""
import contextlib
import logging
import threading
from typing import Any, Callable, Iterator, Optional, Tuple

from .slot import Slot
from .watch import Watch

log = logging.getLogger("fleet_device")


class NothingLoaded(RuntimeError):
    """No release is there, or none could be loaded yet."""


class _Loaded:
    def __init__(self, model: Any, slot: Slot) -> None:
        self.model, self.slot = model, slot
        self.users, self.retired = 0, False


def available_bytes() -> Optional[int]:
    """MemAvailable of the machine, or None where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


class Live:
    """Keeps what `load` made of the release that runs, and follows `current`.

    The new one is loaded beside the old one, which serves meanwhile and goes when its last user is done. What does not load leaves the old one in its place: the agent
    sees by its health checks that nobody uses the new one. A request has one release from its beginning to its end.

    load:    folder -> anything; whatever it raises is a release that does not load
    unload:  called with what `load` gave, once nobody uses it
    needs:   folder -> bytes that loading takes. Where less is available the old one goes first, and requests wait.
    """

    def __init__(self, root, model: str, load: Callable[[Any], Any], unload: Optional[Callable[[Any], None]] = None, needs: Optional[Callable[[Any], int]] = None,
                 changed: Optional[Callable[[Optional[Slot], Optional[Exception]], None]] = None, poll_s: float = 1.0) -> None:
        self._load, self._unload, self._needs, self._changed = load, unload, needs, changed
        self._lock = threading.Condition()
        self._current: Optional[_Loaded] = None
        self._loading_alone = False  # the old one had to go first
        self._watch = Watch(root, model, poll_s)
        self._closed = False
        self._thread = threading.Thread(target=self._follow, name="fleet-device-" + model, daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def use(self, timeout_s: float = 10.0) -> Iterator[Tuple[Any, Slot]]:
        """What is loaded, and its slot, for one request. Waits where nothing is loaded yet. Raises NothingLoaded at the time-out."""
        with self._lock:
            if not self._lock.wait_for(lambda: self._closed or (self._current is not None and not self._loading_alone), timeout_s) or self._closed:
                raise NothingLoaded("no release of the model is loaded")
            taken = self._current
            assert taken is not None
            taken.users += 1
        try:
            yield taken.model, taken.slot
        finally:
            self._give_back(taken)

    @property
    def slot(self) -> Optional[Slot]:
        with self._lock:
            return self._current.slot if self._current else None

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._watch.stop()
        self._thread.join()
        self._watch.close()
        self._retire(None)

    def _give_back(self, used: _Loaded) -> None:
        with self._lock:
            used.users -= 1
            goes = used.retired and used.users == 0
            self._lock.notify_all()
        if goes:
            self._drop(used)

    def _retire(self, new: Optional[_Loaded]) -> None:
        """The new one serves from now on; the old one goes, now or with its last user."""
        with self._lock:
            old, self._current = self._current, new
            self._loading_alone = False
            if old is not None:
                old.retired = True
            goes = old is not None and old.users == 0
            self._lock.notify_all()
        if goes and old is not None:
            self._drop(old)

    def _drop(self, old: _Loaded) -> None:
        model, old.model = old.model, None
        if self._unload is not None:
            try:
                self._unload(model)
            except Exception:  # the app's own; what serves is another one by now
                log.exception("unloading %s", old.slot.digest)

    def _make_room(self, slot: Slot) -> None:
        free = available_bytes()
        if self._needs is None or free is None or self._needs(slot.path) <= free:
            return
        with self._lock:
            old = self._current
            if old is None:
                return
            self._loading_alone = True
            self._lock.wait_for(lambda: old.users == 0 or self._closed)
        log.warning("%s is unloaded before %s is loaded: memory is short", old.slot.digest, slot.digest)
        with self._lock:
            self._current = None
        self._drop(old)

    def _follow(self) -> None:
        known: Optional[Slot] = None
        while not self._closed:
            seen = self._watch.wait(known)
            if seen == known:
                continue
            known = seen
            fault: Optional[Exception] = None
            if seen is None:
                self._retire(None)
            else:
                fault = self._take(seen)
            if self._changed is not None and not self._closed:
                self._changed(seen, fault)

    def _take(self, slot: Slot) -> Optional[Exception]:
        before = self.slot
        try:
            self._make_room(slot)
            loaded = _Loaded(self._load(slot.path), slot)
        except Exception as fault:  # whatever a runtime raises: the old one stays
            log.exception("loading %s", slot.digest)
            self._bring_back(before)
            return fault
        self._retire(loaded)
        return None

    def _bring_back(self, before: Optional[Slot]) -> None:
        """Where the old one had to go first, and the new one does not load."""
        if before is None or self.slot is not None:
            with self._lock:
                self._loading_alone = False
                self._lock.notify_all()
            return
        try:
            self._retire(_Loaded(self._load(before.path), before))
        except Exception:
            log.exception("loading %s again", before.digest)
