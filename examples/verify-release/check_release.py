#!/usr/bin/env python3
"""Checks by itself that what a device is to run is what its owners signed.

Beside models/M/current lie, of each release that is kept (docs/devices.md, Check it yourself):
    releases/<digest>.json          release.json: every file of every variant by size and SHA-256; its own SHA-256 is <digest>
    releases/<digest>.signed.json   the TUF metadata that names it, as received, and the evidence that was published with it
"""

import argparse
import base64
import fnmatch
import hashlib
import json
import os
import sys


class Refused(Exception):
    """What is there is not what was signed."""


# --- signatures, by the standard library alone -----------------------------------------------------------------------------------------------

def ed25519_ok(public: bytes, message: bytes, signature: bytes) -> bool:
    """RFC 8032, 5.1.7."""
    p, order = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
    d = -121665 * pow(121666, p - 2, p) % p

    def add(a, b):
        s, t = (a[1] - a[0]) * (b[1] - b[0]) % p, (a[1] + a[0]) * (b[1] + b[0]) % p
        u, v = 2 * a[3] * b[3] * d % p, 2 * a[2] * b[2] % p
        e, f, g, h = t - s, v - u, v + u, t + s
        return e * f % p, g * h % p, f * g % p, e * h % p

    def times(k, point):
        out = (0, 1, 1, 0)
        while k:
            if k & 1:
                out = add(out, point)
            point, k = add(point, point), k >> 1
        return out

    def point_of(raw):
        y, sign = int.from_bytes(raw, "little") & (2**255 - 1), raw[31] >> 7
        if y >= p:
            return None
        x2 = (y * y - 1) * pow(d * y * y + 1, p - 2, p) % p
        x = pow(x2, (p + 3) // 8, p)
        if (x * x - x2) % p:
            x = x * pow(2, (p - 1) // 4, p) % p
        if (x * x - x2) % p or (x == 0 and sign):
            return None
        x = x if x & 1 == sign else p - x
        return x, y, 1, x * y % p

    if len(public) != 32 or len(signature) != 64:
        return False
    key, r, s = point_of(public), point_of(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= order:
        return False
    base_y = 4 * pow(5, p - 2, p) % p
    base = point_of(base_y.to_bytes(32, "little"))
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % order
    a, b = times(s, base), add(r, times(h, key))
    return (a[0] * b[2] - b[0] * a[2]) % p == 0 and (a[1] * b[2] - b[1] * a[2]) % p == 0


def p256_ok(public: bytes, message: bytes, signature: bytes) -> bool:
    """FIPS 186-5, 6.4.2, with SHA-256; the signature in DER."""
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    base = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296, 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)

    def add(m, n):
        if m is None or n is None:
            return n if m is None else m
        if m[0] == n[0] and (m[1] + n[1]) % p == 0:
            return None
        slope = (3 * m[0] * m[0] - 3) * pow(2 * m[1], p - 2, p) if m == n else (n[1] - m[1]) * pow(n[0] - m[0], p - 2, p)
        x = (slope * slope - m[0] - n[0]) % p
        return x, (slope * (m[0] - x) - m[1]) % p

    def times(k, point):
        out = None
        while k:
            if k & 1:
                out = add(out, point)
            point, k = add(point, point), k >> 1
        return out

    def integer(at):
        if signature[at] != 2:
            raise ValueError
        end = at + 2 + signature[at + 1]
        return int.from_bytes(signature[at + 2:end], "big"), end

    try:
        if signature[0] != 0x30:
            return False
        r, after = integer(2)
        s, _ = integer(after)
    except (IndexError, ValueError):
        return False
    if len(public) != 65 or public[0] != 4 or not (0 < r < order and 0 < s < order):
        return False
    key = int.from_bytes(public[1:33], "big"), int.from_bytes(public[33:], "big")
    if (key[1] * key[1] - key[0]**3 + 3 * key[0] - b) % p:
        return False
    e, w = int.from_bytes(hashlib.sha256(message).digest(), "big"), pow(s, order - 2, order)
    point = add(times(e * w % order, base), times(r * w % order, key))
    return point is not None and point[0] % order == r


def raw_key(pem: str):
    """('ed25519' or 'ecdsa', raw bytes) of a public key in PEM (SubjectPublicKeyInfo)."""
    der = base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-----")))
    if der.startswith(bytes.fromhex("302a300506032b6570032100")):
        return "ed25519", der[-32:]
    if der.startswith(bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")):
        return "ecdsa", der[-65:]
    raise Refused("a public key is neither Ed25519 nor P-256")


def signed_by(kind: str, raw: bytes, message: bytes, signature: bytes) -> bool:
    return ed25519_ok(raw, message, signature) if kind == "ed25519" else p256_ok(raw, message, signature)


# --- who signed the release ------------------------------------------------------------------------------------------------------------------

def canonical(value) -> str:
    """OLPC canonical JSON, as TUF signs it."""
    if isinstance(value, dict):
        return "{" + ",".join(canonical(k) + ":" + canonical(value[k]) for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(one) for one in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return json.dumps(value)


def check_role(what: str, document: dict, keys: dict, keyids: list, threshold: int):
    message = canonical(document["signed"]).encode()
    good = set()
    for signature in document["signatures"]:
        key = keys.get(signature["keyid"]) if signature["keyid"] in keyids else None
        if key is None:
            continue
        public = key["keyval"]["public"]
        kind, raw = ("ed25519", bytes.fromhex(public)) if key["keytype"] == "ed25519" else raw_key(public)
        if signed_by(kind, raw, message, bytes.fromhex(signature["sig"])):
            good.add(raw)
    if len(good) < threshold:
        raise Refused(f"{what}: {len(good)} good signatures of {threshold}")


def check_signatures(metadata: dict, model: str, version: str, digest: str, pinned: dict):
    """From the root that was pinned to the entry of this release. Expiry says what may be adopted, not what may run: the agent judged it."""
    root, targets, role = (json.loads(metadata[name]) for name in ("root", "targets", "m-" + model))

    def top(name):
        return root["signed"]["keys"], root["signed"]["roles"][name]["keyids"], root["signed"]["roles"][name]["threshold"]

    known = pinned["signed"]["roles"]["root"]
    check_role("root, by the pinned one (pin a newer one if it was rotated more than once)", root, pinned["signed"]["keys"], known["keyids"], known["threshold"])
    check_role("root, by itself", root, *top("root"))
    check_role("targets", targets, *top("targets"))
    delegations = targets["signed"]["delegations"]
    path = f"models/{model}/{version}/release.json"
    named = [one for one in delegations["roles"] if one["name"] == "m-" + model and any(fnmatch.fnmatchcase(path, pattern) for pattern in one["paths"])]
    if not named:
        raise Refused(f"nobody may sign {path}")
    check_role(named[0]["name"], role, delegations["keys"], named[0]["keyids"], named[0]["threshold"])
    signed = role["signed"]["targets"].get(path, {}).get("hashes", {}).get("sha256")
    if signed != digest:
        raise Refused(f"{path} is signed with digest {signed}, here is {digest}")


def check_evidence(evidence: list, release: dict, signers: dict) -> list:
    """What each statement says that one of `signers` made: (kind, signer). A statement of anybody else counts for nothing."""
    digests = {file["sha256"] for variant in release["variants"] for file in variant["files"]}
    said = []
    for one in evidence:
        envelope = json.loads(base64.b64decode(one["envelope"]))
        envelope = envelope.get("dsseEnvelope", envelope)
        payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
        message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
        by = [name for name, (kind_of_key, raw) in signers.items()
              if any(signed_by(kind_of_key, raw, message, base64.b64decode(signature["sig"])) for signature in envelope["signatures"])]
        subjects = {subject["digest"].get("sha256") for subject in json.loads(payload)["subject"]}
        if by and one["kind"] != "file-manifest" and not subjects & digests:
            raise Refused(f"a statement ({one['kind']}) by {by[0]} is of other files")
        said += [(one["kind"], name) for name in by]
    return said


# --- what is there ---------------------------------------------------------------------------------------------------------------------------

def check_files(folder: str, variant: dict):
    found = set()
    for here, _, names in os.walk(folder):
        for name in names:
            found.add(os.path.relpath(os.path.join(here, name), folder))
    wanted = {file["name"]: file for file in variant["files"]}
    links = {link["name"]: link["target"] for link in variant.get("links", [])}
    strange = found - set(wanted) - set(links)
    if strange:
        raise Refused(f"{sorted(strange)[0]} is not in the release")
    for name, target in links.items():
        path = os.path.join(folder, name)
        if not os.path.islink(path) or os.readlink(path) != target:
            raise Refused(f"{name} is no link to {target}")
    for name, file in wanted.items():
        path = os.path.join(folder, name)
        if os.path.islink(path) or not os.path.isfile(path):
            raise Refused(f"{name} is missing")
        whole = hashlib.sha256()
        with open(path, "rb") as stream:
            for piece in iter(lambda: stream.read(1 << 20), b""):
                whole.update(piece)
        if whole.hexdigest() != file["sha256"]:
            raise Refused(f"{name} has digest {whole.hexdigest()}, expected {file['sha256']}")


def check(model_folder: str, root: dict = None, signers: dict = None):
    """@returns (folder to load from, release, what evidence says). The link is read once: load from the folder that is returned, not through the link."""
    slot = os.readlink(os.path.join(model_folder, "current"))
    digest, _, name = os.path.basename(slot).partition("-")
    folder = os.path.join(model_folder, slot)
    with open(os.path.join(model_folder, "releases", digest + ".json"), "rb") as stream:
        document = stream.read()
    if hashlib.sha256(document).hexdigest() != digest:
        raise Refused(f"release.json has digest {hashlib.sha256(document).hexdigest()}, expected {digest}")
    release = json.loads(document)
    said = []
    if root is not None or signers:
        with open(os.path.join(model_folder, "releases", digest + ".signed.json"), encoding="utf-8") as stream:
            signed = json.load(stream)
        if root is not None:
            check_signatures(signed["metadata"], release["model"], release["version"], digest, root)
        if signers:
            said = check_evidence(signed["evidence"], release, signers)
    variants = [one for one in release["variants"] if one.get("name", "") == name]
    faults = []
    for variant in variants:  # which hardware this is, the agent knows; the bytes are of one of them or of none
        try:
            check_files(folder, variant)
            return folder, release, said
        except Refused as fault:
            faults.append(str(fault))
    raise Refused(faults[0] if faults else f"the release has no variant '{name}'")


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks that what a device is to run is what its owners signed.")
    parser.add_argument("model", help="the model's folder: DIR/models/M")
    parser.add_argument("--root", help="a root.json that you trust (fleetctl trust export-root): signatures are checked, too")
    parser.add_argument("--signer", action="append", default=[], metavar="NAME=PEM", help="whose evidence counts")
    given = parser.parse_args()
    try:
        root = json.load(open(given.root, encoding="utf-8")) if given.root else None
        signers = {name: raw_key(open(path, encoding="utf-8").read()) for name, path in (one.split("=", 1) for one in given.signer)}
        folder, release, said = check(given.model, root, signers)
    except (Refused, OSError, KeyError, ValueError) as fault:
        print(f"refused: {fault}", file=sys.stderr)
        return 1
    print(f"{release['model']}@{release['version']}: {folder} is what was {'signed' if root else 'published'}")
    for kind, name in said:
        print(f"  {kind} by {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
