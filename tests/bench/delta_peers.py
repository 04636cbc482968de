"""Peers from PyPI that are no command: ZipNN, HDiffPatch, XOR + zstd.
usage: delta_peers.py NAME encode OLD NEW PATCH | NAME decode OLD PATCH NEW   DTYPE=float32, bfloat16 or float16 for ZipNN"""
import os
import pathlib
import sys
from unittest.mock import MagicMock


def hdiffpatch():
    import hdiffpatch as library
    return (lambda old, new: library.diff(old, new, library.COMPRESSION_ZSTD)), library.apply


def zipnn(**options):
    # It imports torch, which takes gigabytes, also where it is given bytes and never looks at it.
    for name in ("torch", "safetensors", "safetensors.torch"):
        sys.modules[name] = MagicMock()
    import zipnn as library
    return library.ZipNN(bytearray_dtype=os.environ["DTYPE"], input_format="byte", **options)


def zipnn_alone():
    coder = zipnn()
    return (lambda old, new: coder.compress(bytearray(new))), (lambda old, patch: bytes(coder.decompress(bytearray(patch))))


def zipnn_delta():
    """As it has it: both of one length, byte by byte."""
    coder = zipnn(delta_compressed_type="byte")
    return ((lambda old, new: coder.compress(bytearray(new), delta_second_data=bytearray(old))),
            (lambda old, patch: bytes(coder.decompress(bytearray(patch), delta_second_data=bytearray(old)))))


def xor(level):
    import numpy as np
    import zstandard

    def both(a, b):
        """What is longer stands as it is."""
        a, b = np.frombuffer(a, np.uint8).copy(), np.frombuffer(b, np.uint8)
        shared = min(len(a), len(b))
        a[:shared] ^= b[:shared]
        return a.tobytes()
    return (lambda old, new: zstandard.ZstdCompressor(level).compress(both(new, old))), (lambda old, patch: both(zstandard.ZstdDecompressor().decompress(patch), old))


NAMES = {"hdiffpatch": hdiffpatch, "zipnn": zipnn_alone, "zipnn delta": zipnn_delta, "xor + zstd": lambda: xor(3), "xor + zstd -19": lambda: xor(19)}

name, direction, old, given, out = sys.argv[1:]
encode, decode = NAMES[name]()
run = encode if direction == "encode" else decode
pathlib.Path(out).write_bytes(run(pathlib.Path(old).read_bytes(), pathlib.Path(given).read_bytes()))
