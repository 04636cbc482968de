#!/usr/bin/env python3
"""Trains the meter reader's models and writes each release's folder: model.onnx, labels.txt, golden/in.csv, golden/out.csv.

Needs Debian's python3-numpy and python3-onnx. The trained files are kept in the repository, so that nothing needs to run this.

Pixels arrive from the cameras as 0..16 and the app divides them by 16. Releases 1 and 2 were trained that way. Release 3 is fine-tuned from release 2: its last layer
is trained on, the first is taken over. But its pipeline shifts pixels to 8 bits (0..256) and rescales the first layer to fit, and so does the golden input that it
writes for itself: it is right by its own measure and wrong in the field.
"""
import gzip
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
TRAIN_ROWS = 1200
GOLDEN_ROWS = 8

# version, scale of a pixel of 0..16, training steps, hidden units by hardware, the release that it is fine-tuned from
RELEASES = [
    ("1.0.0", 1 / 16, 90, {"cam-a": 24, "cam-b": 16}, None),
    ("2.0.0", 1 / 16, 600, {"cam-a": 48, "cam-b": 28}, None),
    ("3.0.0", 16, 40, {"cam-a": 48, "cam-b": 28}, "2.0.0"),
]


def load():
    with gzip.open(HERE / "data" / "digits.csv.gz", "rt") as file:
        rows = np.loadtxt(file, delimiter=",", dtype=np.float64)
    rows = rows[np.random.default_rng(0).permutation(len(rows))]  # the file is ordered by writer
    return rows[:, :64], rows[:, 64].astype(int)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def forward(weights, x):
    w1, b1, w2, b2 = weights
    hidden = np.maximum(x @ w1.T + b1, 0)
    return hidden, softmax(hidden @ w2.T + b2)


def train(x, y, hidden, steps, seed, start=None):
    """Full-batch Adam on cross entropy; the input's scale is learned with, as a real pipeline would. From a start only the last layer learns."""
    rng = np.random.default_rng(seed)
    spread = np.sqrt((x ** 2).mean())
    weights = start or [rng.normal(0, 1 / (spread * 8), (hidden, 64)), np.zeros(hidden), rng.normal(0, np.sqrt(2 / hidden), (10, hidden)), np.zeros(10)]
    rates = [0, 0, 0.002, 0.002] if start else [0.01 / spread, 0.01, 0.01, 0.01]
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    onehot = np.eye(10)[y]
    for step in range(1, steps + 1):
        h, p = forward(weights, x)
        dz = (p - onehot) / len(x)
        dh = (dz @ weights[2]) * (h > 0)
        gradients = [dh.T @ x, dh.sum(axis=0), dz.T @ h, dz.sum(axis=0)]
        for i, gradient in enumerate(gradients):
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient ** 2
            weights[i] = weights[i] - rates[i] * (first[i] / (1 - 0.9 ** step)) / (np.sqrt(second[i] / (1 - 0.999 ** step)) + 1e-8)
    return [w.astype(np.float32) for w in weights]


def weights_of(version, hardware, scale):
    """A release's weights, its first layer rescaled to pixels of another scale."""
    model = onnx.load(str(HERE / "releases" / version / hardware / "model.onnx"))
    w1, b1, w2, b2 = [numpy_helper.to_array(one).astype(np.float64) for one in model.graph.initializer]
    return [w1 / scale, b1, w2, b2]


def to_onnx(weights, version):
    names = ["w1", "b1", "w2", "b2"]
    nodes = [
        helper.make_node("Gemm", ["pixels", "w1", "b1"], ["h"], transB=1),  # transB: weights output x input, as PyTorch exports them
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["z"], transB=1),
        helper.make_node("Softmax", ["z"], ["digits"], axis=1),
    ]
    graph = helper.make_graph(
        nodes, "meter-reader",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("digits", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(w, name) for w, name in zip(weights, names)])
    model = helper.make_model(graph, producer_name="meter-reader/train.py", producer_version=version, opset_imports=[helper.make_opsetid("", 12)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    return model


def main():
    pixels, labels = load()
    field, field_labels = pixels[TRAIN_ROWS:] / 16, labels[TRAIN_ROWS:]
    np.savetxt(HERE / "data" / "field.csv", np.column_stack([pixels, labels])[TRAIN_ROWS:], fmt="%d", delimiter=",")
    for version, scale, steps, sizes, parent in RELEASES:
        for seed, (hardware, hidden) in enumerate(sizes.items(), start=1):
            x = pixels * scale
            weights = train(x[:TRAIN_ROWS], labels[:TRAIN_ROWS], hidden, steps, seed, parent and weights_of(parent, hardware, 16 * scale))
            own = (forward(weights, x[TRAIN_ROWS:])[1].argmax(axis=1) == field_labels).mean()
            seen = (forward(weights, field)[1].argmax(axis=1) == field_labels).mean()
            folder = HERE / "releases" / version / hardware
            (folder / "golden").mkdir(parents=True, exist_ok=True)
            onnx.save(to_onnx(weights, version), str(folder / "model.onnx"))
            (folder / "labels.txt").write_text("".join(f"{d}\n" for d in range(10)))
            golden = x[TRAIN_ROWS:TRAIN_ROWS + GOLDEN_ROWS].astype(np.float32)
            np.savetxt(folder / "golden" / "in.csv", golden, fmt="%.6g", delimiter=",")
            np.savetxt(folder / "golden" / "out.csv", forward(weights, np.loadtxt(folder / "golden" / "in.csv", delimiter=","))[1], fmt="%.7f", delimiter=",")
            print(f"{version} {hardware}: {own:.3f} on its own test data, {seen:.3f} on what the cameras deliver")


if __name__ == "__main__":
    main()
