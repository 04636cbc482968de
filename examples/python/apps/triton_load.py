#!/usr/bin/env python3
"""Has a Triton server load the release that shall run: for `activate` in the manifest and the hooks of agent.yaml. Triton runs with --model-control-mode=explicit.

The model's place in Triton's repository becomes a link to the slot itself, then Triton is asked to load, and the answer is awaited. Where it does not load, Triton goes on with what it has,
the link is put back, and this ends with 1: the agent takes the release back. Asked again for what is loaded it does nothing.
Settings, by `exec: {environment: {...}}` of agent.yaml: TRITON_URL, TRITON_REPOSITORY (a folder that this may write to, and Triton may read). usage: triton_load.py [--unload]
"""
import json
import os
import pathlib
import sys
import urllib.error
import urllib.request

URL = os.environ.get("TRITON_URL", "http://127.0.0.1:8000")
REPOSITORY = pathlib.Path(os.environ.get("TRITON_REPOSITORY", "/var/lib/triton"))


def ask(path, body=None):
    request = urllib.request.Request(URL + path, json.dumps(body if body is not None else {}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def lead_to(link, target):
    """Atomically: a name is there all the while."""
    new = link.with_name(link.name + ".new")
    new.unlink(missing_ok=True)
    os.symlink(target, new)
    os.replace(new, link)


def is_loaded(model, slot):
    """By the note of the last load, and only while Triton has the model: it may have been started anew."""
    note = REPOSITORY / ".loaded" / model
    ready = any(one["name"] == model and one.get("state") == "READY" for one in ask("/v2/repository/index"))
    return ready and note.is_file() and note.read_text() == slot


def load(model, slot):
    link, note = REPOSITORY / model, REPOSITORY / ".loaded" / model
    if is_loaded(model, slot):
        return 0
    before = os.readlink(link) if link.is_symlink() else None
    note.parent.mkdir(exist_ok=True)
    note.unlink(missing_ok=True)
    lead_to(link, slot)
    try:
        ask("/v2/repository/models/{}/load".format(model))
    except urllib.error.HTTPError as refused:
        print("triton does not load {}: {}".format(os.path.basename(slot), refused.read().decode(errors="replace")[:1000]), file=sys.stderr)
        if before is not None:
            lead_to(link, before)
            note.write_text(before)  # it goes on with what it had
        return 1
    note.write_text(slot)
    return 0


def main():
    model = os.environ["FLEET_MODEL"]
    try:
        if sys.argv[1:] == ["--unload"]:
            ask("/v2/repository/models/{}/unload".format(model))
            return 0
        return load(model, os.path.realpath(os.environ["FLEET_SLOT"]))
    except OSError as fault:  # no server: what runs cannot be changed
        print("triton at {}: {}".format(URL, fault), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
