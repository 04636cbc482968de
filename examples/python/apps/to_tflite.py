#!/usr/bin/env python3
"""Writes the meter reader's network as a TFLite file. usage: to_tflite.py model.onnx model.tflite. Needs onnx, tflite and flatbuffers (PyPI)."""
import sys

import flatbuffers
import numpy
import onnx
import tflite
from onnx import numpy_helper


def vector(builder, offsets):
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def numbers(builder, values):
    return builder.CreateNumpyVector(numpy.asarray(values, numpy.int32))


class Model:
    """Tensors and operators in their order, as the schema wants them."""

    def __init__(self):
        self.builder = flatbuffers.Builder(1 << 16)
        self.buffers, self.tensors, self.operators = [self.buffer(b"")], [], []

    def buffer(self, content):
        b = self.builder
        bytes_ = b.CreateNumpyVector(numpy.frombuffer(content, numpy.uint8)) if content else None
        tflite.BufferStart(b)
        if bytes_ is not None:
            tflite.BufferAddData(b, bytes_)
        return tflite.BufferEnd(b)

    def tensor(self, name, shape, values=None):
        b = self.builder
        at = 0
        if values is not None:
            at = len(self.buffers)
            self.buffers.append(self.buffer(numpy.ascontiguousarray(values, numpy.float32).tobytes()))
        name_, shape_ = b.CreateString(name), numbers(b, shape)
        tflite.TensorStart(b)
        tflite.TensorAddName(b, name_)
        tflite.TensorAddShape(b, shape_)
        tflite.TensorAddType(b, tflite.TensorType.FLOAT32)
        tflite.TensorAddBuffer(b, at)
        self.tensors.append(tflite.TensorEnd(b))
        return len(self.tensors) - 1

    def operator(self, code, inputs, output, kind, options):
        b = self.builder
        inputs_, outputs_ = numbers(b, inputs), numbers(b, [output])
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, code)
        tflite.OperatorAddInputs(b, inputs_)
        tflite.OperatorAddOutputs(b, outputs_)
        tflite.OperatorAddBuiltinOptionsType(b, kind)
        tflite.OperatorAddBuiltinOptions(b, options)
        self.operators.append(tflite.OperatorEnd(b))

    def dense(self, inputs, output, activation):
        b = self.builder
        tflite.FullyConnectedOptionsStart(b)
        tflite.FullyConnectedOptionsAddFusedActivationFunction(b, activation)
        self.operator(0, inputs, output, tflite.BuiltinOptions.FullyConnectedOptions, tflite.FullyConnectedOptionsEnd(b))

    def softmax(self, source, output):
        b = self.builder
        tflite.SoftmaxOptionsStart(b)
        tflite.SoftmaxOptionsAddBeta(b, 1.0)
        self.operator(1, [source], output, tflite.BuiltinOptions.SoftmaxOptions, tflite.SoftmaxOptionsEnd(b))

    def finish(self, source, output):
        b = self.builder
        codes = []
        for code in (tflite.BuiltinOperator.FULLY_CONNECTED, tflite.BuiltinOperator.SOFTMAX):
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, code)
            tflite.OperatorCodeAddBuiltinCode(b, code)
            tflite.OperatorCodeAddVersion(b, 1)
            codes.append(tflite.OperatorCodeEnd(b))
        tensors, operators, inputs, outputs = vector(b, self.tensors), vector(b, self.operators), numbers(b, [source]), numbers(b, [output])
        tflite.SubGraphStart(b)
        tflite.SubGraphAddTensors(b, tensors)
        tflite.SubGraphAddInputs(b, inputs)
        tflite.SubGraphAddOutputs(b, outputs)
        tflite.SubGraphAddOperators(b, operators)
        graph = tflite.SubGraphEnd(b)
        graphs, buffers, codes_, words = vector(b, [graph]), vector(b, self.buffers), vector(b, codes), b.CreateString("meter reader")
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, 3)
        tflite.ModelAddOperatorCodes(b, codes_)
        tflite.ModelAddSubgraphs(b, graphs)
        tflite.ModelAddDescription(b, words)
        tflite.ModelAddBuffers(b, buffers)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())


def main():
    graph = onnx.load(sys.argv[1]).graph
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    hidden = weights["w1"].shape[0]
    model = Model()
    pixels = model.tensor("pixels", [1, 64])
    w1, b1 = model.tensor("w1", [hidden, 64], weights["w1"]), model.tensor("b1", [hidden], weights["b1"])
    h = model.tensor("h", [1, hidden])
    w2, b2 = model.tensor("w2", [10, hidden], weights["w2"]), model.tensor("b2", [10], weights["b2"])
    z, digits = model.tensor("z", [1, 10]), model.tensor("digits", [1, 10])
    model.dense([pixels, w1, b1], h, tflite.ActivationFunctionType.RELU)
    model.dense([h, w2, b2], z, tflite.ActivationFunctionType.NONE)
    model.softmax(z, digits)
    with open(sys.argv[2], "wb") as out:
        out.write(model.finish(pixels, digits))


if __name__ == "__main__":
    main()
