#!/usr/bin/python3
"""Pairs of files, an old and a new one, as updates of models make them. The same seed makes the same bytes.
usage: delta_pairs.py list | FOLDER MIB NAME   (writes FOLDER/old and FOLDER/new)"""
import json
import pathlib
import sys

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


def nudged(tensors, share, seed=3):
    """That share of the integers is one more or one less."""
    rng = np.random.default_rng(seed)
    hit = lambda values: (rng.random(values.size) < share) * np.where(rng.random(values.size) < 0.5, 1, -1)
    return each(tensors, lambda values: (values.astype(np.int32) + hit(values)).astype(values.dtype))


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


def trained(sizes, images, labels, weights=None, epochs=30, rate=0.05, seed=4):
    """A perceptron of these layers, by stochastic gradient descent with momentum, from `weights` or from scratch."""
    rng = np.random.default_rng(seed)
    if weights is None:
        weights = {}
        for i, (rows, columns) in enumerate(zip(sizes, sizes[1:])):
            weights[f"{i}.weight"] = rng.normal(0, np.sqrt(2 / rows), (rows, columns)).astype(np.float32)
            weights[f"{i}.bias"] = np.zeros(columns, np.float32)
    weights = {name: values.copy() for name, values in weights.items()}
    speed = {name: np.zeros_like(values) for name, values in weights.items()}
    depth = len(weights) // 2
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(images)), len(images) // 50):
            values = [images[batch]]
            for i in range(depth):
                after = values[-1] @ weights[f"{i}.weight"] + weights[f"{i}.bias"]
                values.append(np.maximum(after, 0) if i + 1 < depth else after)
            odds = np.exp(values[-1] - values[-1].max(1, keepdims=True))
            slope = odds / odds.sum(1, keepdims=True)
            slope[np.arange(len(batch)), labels[batch]] -= 1
            slope /= len(batch)
            for i in reversed(range(depth)):
                steps = {f"{i}.weight": values[i].T @ slope, f"{i}.bias": slope.sum(0)}
                slope = slope @ weights[f"{i}.weight"].T * (values[i] > 0)
                for name, step in steps.items():
                    speed[name] = 0.9 * speed[name] - rate * step.astype(np.float32)
                    weights[name] += speed[name]
    return weights


def digits():
    """Images and labels of examples/meter-reader; and the same, darker and with noise, as another site sees them."""
    rows = np.loadtxt(pathlib.Path(__file__).parents[2] / "examples/meter-reader/data/digits.csv.gz", delimiter=",")
    images, labels = (rows[:, :64] / 16).astype(np.float32), rows[:, 64].astype(int)
    elsewhere = np.clip(images * 0.7 + np.random.default_rng(6).normal(0, 0.15, images.shape), 0, 1).astype(np.float32)
    return images, elsewhere, labels


def int8(tensors):
    """One scale a tensor, as it is kept from the first version on."""
    return {name: np.clip(np.round(values / (np.abs(values).max() or 1) * 127), -127, 127).astype(np.int8) for name, values in tensors.items()}


def fine_tuned(sizes, epochs):
    images, elsewhere, labels = digits()
    first = trained(sizes, images, labels)
    return first, trained(sizes, elsewhere, labels, first, epochs, 0.002, 5)


def pairs(mib):
    """Name, and what makes the old and the new version and how they are written."""
    f32, half, byte = layers(mib, 4), layers(mib, 2), layers(mib, 1)
    fp16 = lambda values: values.astype(np.float16)
    quantised = lambda values: np.clip(np.round(values / 0.02 * 40), -127, 127).astype(np.int8)
    flat = lambda both: tuple(each(one, np.ravel) for one in both)

    def small():
        return flat(fine_tuned((64, 32, 10), 5))

    def large():
        return flat(fine_tuned((64, 1024, 1024, 10), 3))

    return {
        "f32, relative 1e-4": lambda: (f32, tuned(f32, 1e-4)),
        "f32, relative 1e-3": lambda: (f32, tuned(f32, 1e-3)),
        "bf16, relative 1e-3": lambda: (each(half, bfloat16), each(tuned(half, 1e-3), bfloat16)),
        "bf16, absolute noise": lambda: (each(half, bfloat16), each(tuned(half, absolute=2e-5), bfloat16)),
        "bf16, 1 % by one": lambda: (each(half, bfloat16), nudged(each(half, bfloat16), 0.01)),
        "fp16, relative 1e-3": lambda: (each(half, fp16), each(tuned(half, 1e-3), fp16)),
        "int8, 3 % by one": lambda: (each(byte, quantised), nudged(each(byte, quantised), 0.03)),
        "q4_0 (GGUF), relative 1e-3": lambda: (each(byte, q4_0), each(tuned(byte, 1e-3), q4_0)),
        "last 5 % changed": lambda: (f32, f32 | last_changed(f32)),
        "layers moved": lambda: (f32, rearranged(f32)),
        "layers moved, tuned 1e-4": lambda: (f32, tuned(rearranged(f32), 1e-4)),
        "digits, trained on": small,
        "1.1 M weights, trained on": large,
        "the same as bf16": lambda: tuple(each(one, bfloat16) for one in large()),
        "the same as int8": lambda: tuple(int8(one) for one in large()),
    }


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print("\n".join(pairs(1)))
    else:
        folder, mib, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        write = write_gguf if "GGUF" in wanted else write_safetensors
        for path, tensors in zip((folder / "old", folder / "new"), pairs(mib)[wanted]()):
            write(path, tensors)
