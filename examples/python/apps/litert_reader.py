#!/usr/bin/env python3
"""Reads digits with LiteRT: `model.tflite`, 64 pixels to ten probabilities. An interpreter serves one request at a time, so each thread has its own."""
import pathlib
import sys
import threading

import numpy
from ai_edge_litert.interpreter import Interpreter

from serve import serve


def load(folder):
    content = (pathlib.Path(folder) / "model.tflite").read_bytes()  # once: all interpreters are of one file
    mine = threading.local()

    def interpreter():
        if not hasattr(mine, "it"):
            mine.it = Interpreter(model_content=content, num_threads=1)
            mine.it.allocate_tensors()
        return mine.it

    (pixels,), (digits,) = interpreter().get_input_details(), interpreter().get_output_details()
    if pixels["shape"][-1] != 64 or digits["shape"][-1] != 10:
        raise ValueError("{} takes {} and gives {}".format(folder, pixels["shape"], digits["shape"]))

    def infer(row):
        it = interpreter()
        it.set_tensor(pixels["index"], numpy.asarray([row], numpy.float32))
        it.invoke()
        return it.get_tensor(digits["index"])[0].tolist()

    return infer


if __name__ == "__main__":
    sys.exit(serve(load))
