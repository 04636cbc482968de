"""What the owners signed of a release, checked by the runtime itself before it loads: every file has the digest that release.json says, and release.json is what the slot's name says.

The agent has checked the signatures over that digest and all files, and does so again before each switch. This is for a runtime that shall not load what was changed after that.
"""
import hashlib
import json
from typing import Dict

from .slot import Slot

_PIECE = 1 << 20


class CheckFailed(ValueError):
    """The slot is not what was signed; says which file."""


def _sha256(path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(_PIECE), b""):
            digest.update(piece)
    return digest.hexdigest()


def check_slot(slot: Slot, hardware: str) -> Dict:
    """release.json of the slot. Raises CheckFailed, or OSError where a file is missing.

    Of a release with `handler: archive` the archives are signed, and the list of what came out of them is the agent's own (releases/<digest>.tree.json).
    """
    releases = slot.path.parent.parent / "releases"
    document = (releases / (slot.digest + ".json")).read_bytes()
    if hashlib.sha256(document).hexdigest() != slot.digest:
        raise CheckFailed("{}: release.json has another digest".format(slot.digest))
    release = json.loads(document)
    listed = release
    if release.get("manifest", {}).get("handler", "files") == "archive":
        listed = json.loads((releases / (slot.digest + ".tree.json")).read_bytes())
    variant = next((one for one in listed["variants"] if hardware in one["hardware"]), None)
    if variant is None:
        raise CheckFailed("{}: no variant for {}".format(slot.digest, hardware))
    for file in variant["files"]:
        if _sha256(slot.path / file["name"]) != file["sha256"]:
            raise CheckFailed("{}: {} is not what was signed".format(slot.digest, file["name"]))
    return release
