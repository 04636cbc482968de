#!/usr/bin/env python3
"""Reads digits with onnxruntime: `model.onnx`, 64 pixels to ten probabilities."""
import pathlib
import sys

import numpy
import onnxruntime

from serve import serve


def load(folder):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(pathlib.Path(folder) / "model.onnx"), options, providers=["CPUExecutionProvider"])
    (pixels,), (digits,) = session.get_inputs(), session.get_outputs()
    if pixels.shape[-1] != 64 or digits.shape[-1] != 10:
        raise ValueError("{} takes {} and gives {}".format(folder, pixels.shape, digits.shape))
    return lambda row: session.run([digits.name], {pixels.name: numpy.asarray([row], numpy.float32)})[0][0].tolist()


if __name__ == "__main__":
    sys.exit(serve(load))
