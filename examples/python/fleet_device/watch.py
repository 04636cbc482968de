"""Waiting until `current` points elsewhere: by inotify where there is one, by looking elsewhere."""
import ctypes
import ctypes.util
import errno
import os
import select
import threading
import time
from typing import Optional

from .slot import Slot, current_slot, model_folder

_MOVED_TO, _DELETE, _CREATE, _DELETE_SELF, _MOVE_SELF = 0x80, 0x200, 0x100, 0x400, 0x800
_NONBLOCK = 0o4000
_CLOEXEC = 0o2000000


class _Inotify:
    """A descriptor that is readable when something happens to names in the model's folder."""

    def __init__(self, folder) -> None:
        libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
        self.fd = libc.inotify_init1(_NONBLOCK | _CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        if libc.inotify_add_watch(self.fd, os.fsencode(folder), _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF) < 0:
            number = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(number, "inotify_add_watch", str(folder))

    def drain(self) -> None:
        try:
            while os.read(self.fd, 4096):
                pass
        except OSError as fault:
            if fault.errno != errno.EAGAIN:
                raise

    def close(self) -> None:
        os.close(self.fd)


class Watch:
    """Tells each slot that `current` comes to point at; what came and went between two looks is not told.

    poll_s: how often it looks where inotify does not help (no folder yet, a file system that tells nothing), and at least with it, too.
    """

    def __init__(self, root, model: str, poll_s: float = 1.0, use_inotify: bool = True) -> None:
        self._root, self._model, self._poll_s, self._use_inotify = root, model, poll_s, use_inotify
        self._inotify: Optional[_Inotify] = None
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        self._stopped = threading.Event()

    def wait(self, known: Optional[Slot], timeout_s: Optional[float] = None) -> Optional[Slot]:
        """Until `current` points elsewhere than at `known`; then what it points at. At the time-out or after stop(): `known`."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._stopped.is_set():
            self._begin()  # before the look, so that nothing comes between unseen
            now = current_slot(self._root, self._model)
            if now != known:
                return now
            left = self._poll_s if until is None else min(self._poll_s, until - time.monotonic())
            if left <= 0:
                break
            fds = [self._wake_read] + ([self._inotify.fd] if self._inotify else [])
            select.select(fds, [], [], left)
        return known

    def stop(self) -> None:
        """Ends every wait, from any thread."""
        self._stopped.set()
        os.write(self._wake_write, b"x")

    def close(self) -> None:
        if self._inotify:
            self._inotify.close()
            self._inotify = None
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)

    def _begin(self) -> None:
        if self._inotify:
            self._inotify.drain()
        elif self._use_inotify:
            try:
                self._inotify = _Inotify(model_folder(self._root, self._model))
            except (OSError, AttributeError):  # no folder yet, or no inotify: it looks
                self._inotify = None
