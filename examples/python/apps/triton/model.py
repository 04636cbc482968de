"""The meter reader's network for Triton's Python backend: weights and labels of the release that this file lies in."""
import pathlib

import numpy
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        # Once, to the slot itself: through the repository's link two files might be of two releases.
        slot = pathlib.Path(args["model_repository"]).resolve()
        with numpy.load(slot / "weights.npz") as weights:
            self.w1, self.b1, self.w2, self.b2 = (weights[name] for name in ("w1", "b1", "w2", "b2"))
        self.labels = (slot / "labels.txt").read_text().split()
        self.release = slot.name
        if len(self.labels) != 10:
            raise ValueError("{} labels".format(len(self.labels)))

    def execute(self, requests):
        return [self.answer(triton.get_input_tensor_by_name(request, "pixels").as_numpy()) for request in requests]

    def answer(self, pixels):
        scores = numpy.maximum(pixels @ self.w1.T + self.b1, 0) @ self.w2.T + self.b2
        parts = numpy.exp(scores - scores.max())
        digits = (parts / parts.sum()).astype(numpy.float32)
        words = [numpy.array([word.encode()], dtype=numpy.object_) for word in (self.labels[int(digits.argmax())], self.release)]
        return triton.InferenceResponse([triton.Tensor("digits", digits), triton.Tensor("label", words[0]), triton.Tensor("release", words[1])])
