"""The owner's say: the update lock, and consent (docs/devices.md, update_lock)."""
import contextlib
import fcntl
import json
import os
import subprocess
from typing import Iterator, List


@contextlib.contextmanager
def update_lock(root, file: str = "run/update.lock", wait: bool = True) -> Iterator[None]:
    """While it is held nothing switches: around what must not be interrupted. `file` is what `update_lock: {file: ...}` of agent.yaml says.

    Shared with other apps. The agent itself holds it for the instant of a switch; wait=False raises BlockingIOError then.
    """
    fd = os.open(os.path.join(root, file), os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(fd)


def waiting_for(root, model: str, agent: str = "fleet-agent") -> List[str]:
    """Why the model's update waits: `consent`, `update_lock`, `window`, `battery`, ...; empty: it does not."""
    shown = subprocess.run([agent, "status", "--root", str(root), "-o", "json"], check=True, capture_output=True, timeout=30).stdout
    for one in json.loads(shown)["models"]:
        if one["model"] == model and one["state"] in ("waiting", "staged", "downloading", "checking", "switching"):
            return [reason["code"] for reason in one["because"]]
    return []


def consent(root, model: str, agent: str = "fleet-agent") -> None:
    """The person at the device agrees to what waits. Needs the rights of the agent's user. Raises CalledProcessError where nothing waits."""
    subprocess.run([agent, "consent", "--root", str(root), "--model", model], check=True, capture_output=True, timeout=30)
