"""Where the release lies that a model shall run."""
import os
import pathlib
from typing import NamedTuple, Optional


class Slot(NamedTuple):
    """One release in its place. It never changes, and stays until two later ones were committed."""

    path: pathlib.Path
    digest: str  # SHA-256 of its release.json: the tag `release:` of samples


def model_folder(root, model: str) -> pathlib.Path:
    return pathlib.Path(root) / "models" / model


def current_slot(root, model: str) -> Optional[Slot]:
    """What `current` points at now, or None.

    The link is read once: whoever opens two files through `current` may get one of each release. Open everything below the path that this gives.
    """
    folder = model_folder(root, model)
    try:
        target = os.readlink(folder / "current")
    except OSError:  # taken away, or not there yet
        return None
    return Slot(folder / target, os.path.basename(target))
