"""Pairs of files, an old and a new one, as updates of models make them. The same seed makes the same bytes."""
import json
import pathlib

import numpy as np

LAYER = ("attention.weight", 0.55), ("mlp.weight", 0.4495), ("norm.weight", 0.0005)
SAFETENSORS = {"float32": "F32", "float16": "F16", "uint16": "BF16", "int8": "I8"}


def bfloat16(values):
    """Rounded to nearest, ties to even."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def layers(mib, width, count=12, seed=1):
    """Weights of `count` layers, float32, that take `mib` once an element has `width` bytes."""
    rng = np.random.default_rng(seed)
    elements = mib * (1 << 20) // width // count
    return {f"model.layers.{i}.{name}": rng.normal(0, 0.02, int(elements * part)).astype(np.float32) for i in range(count) for name, part in LAYER}


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": SAFETENSORS[values.dtype.name], "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in tensors.values():
            file.write(values.tobytes())


def write_gguf(path, tensors):
    """Quantised Q4_0, version 3 (docs/gguf.md of ggml)."""
    def text(value):
        return len(value).to_bytes(8, "little") + value.encode()
    head = b"GGUF" + (3).to_bytes(4, "little") + len(tensors).to_bytes(8, "little") + (1).to_bytes(8, "little")
    head += text("general.architecture") + (8).to_bytes(4, "little") + text("llama")
    at = 0
    for name, (elements, data) in tensors.items():
        head += text(name) + (1).to_bytes(4, "little") + elements.to_bytes(8, "little") + (2).to_bytes(4, "little") + at.to_bytes(8, "little")
        at += (len(data) + 31) // 32 * 32
    with open(path, "wb") as file:
        file.write(head + b"\0" * (-len(head) % 32))
        for _, data in tensors.values():
            file.write(data + b"\0" * (-len(data) % 32))


def q4_0(values):
    """Blocks of 32: a float16 scale and 16 bytes of nibbles (quantize_row_q4_0_ref of ggml)."""
    rows = values[: len(values) // 32 * 32].reshape(-1, 32)
    extreme = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], 1)[:, 0]
    scale = extreme / -8
    inverse = np.where(scale == 0, 0, 1 / np.where(scale == 0, 1, scale))
    nibbles = np.minimum(15, (rows * inverse[:, None] + 8.5).astype(np.int8)).astype(np.uint8)
    out = np.empty((len(rows), 18), np.uint8)
    out[:, :2] = scale.astype(np.float16).view(np.uint8).reshape(-1, 2)
    out[:, 2:] = nibbles[:, :16] | nibbles[:, 16:] << 4
    return rows.size, out.tobytes()


def tuned(tensors, relative=0.0, absolute=0.0, seed=2):
    rng = np.random.default_rng(seed)
    return {name: (values * (1 + relative * rng.standard_normal(values.size, np.float32)) + absolute * rng.standard_normal(values.size, np.float32)).astype(np.float32)
            for name, values in tensors.items()}


def each(tensors, function):
    return {name: function(values) for name, values in tensors.items()}


def nudged(values, share, seed=3):
    """That share of integers is one more or one less."""
    rng = np.random.default_rng(seed)
    hit = rng.random(values.size) < share
    step = np.where(rng.random(values.size) < 0.5, 1, -1)
    return (values.astype(np.int32) + hit * step).astype(values.dtype)


def rearranged(tensors):
    """Two layers come in at the fourth place, two others change places: the names count on."""
    fresh = layers(1, 4, 2, seed=9)
    number = lambda name: int(name.split(".")[2])
    count = max(map(number, tensors)) + 1
    order = [("old", i) for i in range(count)]
    order[1], order[7] = order[7], order[1]
    order[4:4] = [("new", 0), ("new", 1)]
    out = {}
    for place, (which, i) in enumerate(order):
        for name, values in (tensors if which == "old" else fresh).items():
            if number(name) == i:
                out[name.replace(f"layers.{i}.", f"layers.{place}.")] = values
    return out


def make(folder, mib):
    """Yields (name, old, new) paths, one pair at a time."""
    folder = pathlib.Path(folder)

    def pair(name, old, new, write=write_safetensors):
        paths = folder / f"{name}.old", folder / f"{name}.new"
        for path, tensors in zip(paths, (old, new)):
            write(path, tensors)
        return name, *paths

    f32 = layers(mib, 4)
    yield pair("f32-1e-4", f32, tuned(f32, 1e-4))
    yield pair("f32-1e-3", f32, tuned(f32, 1e-3))
    yield pair("last-5-percent", f32, f32 | last_changed(f32))
    yield pair("layers-moved", f32, rearranged(f32))
    yield pair("layers-moved-tuned", f32, tuned(rearranged(f32), 1e-4))
    half = layers(mib, 2)
    yield pair("bf16-1e-3", each(half, bfloat16), each(tuned(half, 1e-3), bfloat16))
    yield pair("bf16-noise", each(half, bfloat16), each(tuned(half, absolute=2e-5), bfloat16))
    yield pair("bf16-1-percent", each(half, bfloat16), each(each(half, bfloat16), lambda v: nudged(v, 0.01)))
    yield pair("fp16-1e-3", each(half, lambda v: v.astype(np.float16)), each(tuned(half, 1e-3), lambda v: v.astype(np.float16)))
    bytes_ = each(layers(mib, 1), lambda v: np.clip(np.round(v / 0.02 * 40), -127, 127).astype(np.int8))
    yield pair("int8-3-percent", bytes_, each(bytes_, lambda v: nudged(v, 0.03)))
    quantised = layers(mib * 16 // 9, 1)
    yield pair("q4_0", each(quantised, q4_0), each(tuned(quantised, 1e-3), q4_0), write_gguf)


def last_changed(tensors):
    """The last twentieth of the weights, new."""
    out, left = {}, sum(v.size for v in tensors.values()) // 20
    rng = np.random.default_rng(8)
    for name in reversed(tensors):
        take = min(left, tensors[name].size)
        if take == 0:
            break
        out[name] = tensors[name].copy()
        out[name][-take:] = rng.normal(0, 0.02, take)
        left -= take
    return out
