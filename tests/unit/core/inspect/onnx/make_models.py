#!/usr/bin/python3
"""Writes the small models that the tests of the ONNX inspection read (Debian: python3-onnx). Run it in its folder."""
import onnx
from onnx import TensorProto, helper


def value(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def save(name, graph, **more):
    model = helper.make_model(graph, producer_name="fleet-tests", producer_version="1.2", opset_imports=more.pop("opsets"), **more)
    model.ir_version = more.get("ir_version", 8)
    onnx.save(model, name)


weights = helper.make_tensor("w", TensorProto.FLOAT, [4, 2], [0.5] * 8)
dense = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Softmax", ["h"], ["y"])], "digits",
    [value("x", TensorProto.FLOAT, ["batch", 4])], [value("y", TensorProto.FLOAT, ["batch", 2])], [weights])
save("dense.onnx", dense, opsets=[helper.make_opsetid("", 17)])

# As before ir_version 4: the initializer is listed among the inputs.
listed = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])], "listed",
    [value("x", TensorProto.UINT8, [1, 4]), value("w", TensorProto.FLOAT, [4, 2])], [value("y", TensorProto.FLOAT16, None)], [weights])
save("listed.onnx", listed, opsets=[helper.make_opsetid("", 9), helper.make_opsetid("com.example", 3)], ir_version=3)

scalar = helper.make_graph(
    [helper.make_node("Identity", ["x"], ["y"])], "scalar", [value("x", TensorProto.INT64, [])], [value("y", TensorProto.INT64, [None, 3])])
save("scalar.onnx", scalar, opsets=[helper.make_opsetid("", 13)])
