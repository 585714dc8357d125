"""Writes a TFLite graph as an ONNX model in NCHW layout.

Called by convert.py. The weights keep the precision they are stored in: a half-precision
constant is followed by a Cast that the runtime folds away when it loads the model. Nothing
here depends on the clock, the host or hash order, so the same graph gives the same bytes.

Against a literal translation, three things are rearranged; none changes a result by more
than rounding:
- a PAD of height and width becomes the padding of the convolutions that read it;
- a 2x bilinear RESIZE becomes two products with constant matrices, one per axis;
- a RESIZE whose only reader is a 1x1 convolution trades places with it, so that the
  convolution works on a quarter of the pixels. Both are linear and the interpolation
  weights sum to one, hence they commute, bias included; the activation stays behind both.
"""

from collections.abc import Callable

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

from tflite_reader import Graph, Operator, UnsupportedModel, without_dead_code

OPSET = 13
IR_VERSION = 8

_FLOAT_DTYPES = {"float16": np.float16, "float32": np.float32}


def write(graph: Graph, input_name: str, output_names: list[str | None], weights: str) -> bytes:
    """The ONNX file of `graph`. An output named None is dropped with all that feeds it."""
    kept = [(index, name) for index, name in zip(graph.outputs, output_names, strict=True) if name]
    return _Writer(graph, kept, _FLOAT_DTYPES[weights]).model(input_name)


def nchw(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape in this file's layout: NHWC becomes NCHW, anything not rank 4 stays."""
    return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape


class _Writer:
    def __init__(self, graph: Graph, outputs: list[tuple[int, str]], float_dtype: type):
        self.graph = graph
        self.outputs = outputs
        self.float_dtype = float_dtype
        self.operators = without_dead_code(graph, tuple(index for index, _ in outputs))
        self.readers: dict[int, list[Operator]] = {}
        for operator in self.operators:
            for index in operator.inputs:
                self.readers.setdefault(index, []).append(operator)
        self.names = dict(outputs)
        self.padded: dict[int, tuple[int, list[int]]] = {}
        self.resized: dict[int, int] = {}
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.casts: list[onnx.NodeProto] = []
        self.nodes: list[onnx.NodeProto] = []

    def model(self, input_name: str) -> bytes:
        (source,) = self.graph.inputs
        self.names[source] = input_name
        emitters: dict[str, Callable[[Operator], None]] = {
            "ADD": self.add,
            "CONCATENATION": self.concatenation,
            "CONV_2D": self.convolution,
            "DEPTHWISE_CONV_2D": self.convolution,
            "DEPTH_TO_SPACE": self.depth_to_space,
            "LOGISTIC": self.logistic,
            "MAX_POOL_2D": self.max_pool,
            "PAD": self.pad,
            "RESHAPE": self.reshape,
            "RESIZE_BILINEAR": self.resize,
        }
        for operator in self.operators:
            if operator.kind not in emitters:
                raise UnsupportedModel(f"operator {operator.kind} is not supported")
            emitters[operator.kind](operator)
        onnx_graph = helper.make_graph(
            self.casts + self.nodes,
            "bodyscript",
            [self.value_info(source)],
            [self.value_info(index) for index, _ in self.outputs],
            list(self.initializers.values()),
        )
        model = helper.make_model(
            onnx_graph,
            producer_name="bodyscript models/convert.py",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)

    # Operators, one method each.

    def pad(self, operator: Operator) -> None:
        source, amounts = operator.inputs
        (target,) = operator.outputs
        (batch, top_bottom, left_right, channel) = self.graph.constants[amounts].tolist()
        if any(channel) and not any(batch + top_bottom + left_right):
            self.pad_channels(operator, channel)
            return
        if any(batch + channel):
            raise UnsupportedModel("PAD of height and width together with others is not supported")
        for reader in self.readers[target]:
            if "CONV_2D" not in reader.kind or reader.options["Padding"] != tflite.Padding.VALID:
                raise UnsupportedModel(f"PAD read by {reader.kind} is not supported")
        pads = [top_bottom[0], left_right[0], top_bottom[1], left_right[1]]
        self.padded[target] = (source, pads)

    def pad_channels(self, operator: Operator, amounts: list[int]) -> None:
        (before, after), (target,) = amounts, operator.outputs
        pads = np.array([0, before, 0, 0, 0, after, 0, 0], np.int64)
        pads_name = self.constant(f"pad_channels_{before}_{after}", pads)
        inputs = [self.name(operator.inputs[0]), pads_name]
        self.node("Pad", inputs, self.name(target), mode="constant")

    def convolution(self, operator: Operator) -> None:
        source, kernel_index, bias_index = operator.inputs
        (target,) = operator.outputs
        options = operator.options
        kernel = self.graph.constants[kernel_index]
        groups = 1
        if operator.kind == "DEPTHWISE_CONV_2D":
            if options["DepthMultiplier"] != 1:
                raise UnsupportedModel("a depth multiplier other than 1 is not supported")
            groups = kernel.shape[3]
            kernel = kernel.transpose(3, 0, 1, 2)
        else:
            kernel = kernel.transpose(0, 3, 1, 2)
        name = f"conv_{target}"
        inputs = [
            self.weight(f"{name}.weight", kernel),
            self.weight(f"{name}.bias", self.graph.constants[bias_index]),
        ]
        attributes = {
            "kernel_shape": list(kernel.shape[2:]),
            "strides": [options["StrideH"], options["StrideW"]],
            "dilations": [options["DilationHFactor"], options["DilationWFactor"]],
            "group": groups,
        }
        if source in self.resized:
            small, linear = self.resized[source], f"{name}.small"
            self.node("Conv", [self.name(small), *inputs], linear, **attributes)
            result = self.before_activation(operator)
            self.double(linear, self.graph.shapes[small][1:3], result)
        else:
            if source in self.padded:
                source, attributes["pads"] = self.padded[source]
            else:
                attributes["pads"] = self.pads(operator)
            result = self.before_activation(operator)
            self.node("Conv", [self.name(source), *inputs], result, **attributes)
        self.activation(operator)

    def add(self, operator: Operator) -> None:
        inputs = [self.name(index) for index in operator.inputs]
        self.node("Add", inputs, self.before_activation(operator))
        self.activation(operator)

    def resize(self, operator: Operator) -> None:
        source, _ = operator.inputs
        (target,) = operator.outputs
        if operator.options != {"AlignCorners": 0, "HalfPixelCenters": 1}:
            raise UnsupportedModel("RESIZE_BILINEAR is supported with half-pixel centres only")
        before, after = self.graph.shapes[source], self.graph.shapes[target]
        if after[1:3] != (2 * before[1], 2 * before[2]):
            raise UnsupportedModel(f"RESIZE_BILINEAR from {before} to {after} is not a doubling")
        readers = self.readers[target]
        if len(readers) == 1 and self.is_pointwise(readers[0]):
            self.resized[target] = source
        else:
            self.double(self.name(source), before[1:3], self.name(target))

    def depth_to_space(self, operator: Operator) -> None:
        self.simple("DepthToSpace", operator, blocksize=operator.options["BlockSize"], mode="DCR")

    def concatenation(self, operator: Operator) -> None:
        if len(self.graph.shapes[operator.outputs[0]]) == 4:
            raise UnsupportedModel("CONCATENATION of pictures is not supported")
        self.simple("Concat", operator, axis=operator.options["Axis"])

    def max_pool(self, operator: Operator) -> None:
        options = operator.options
        if options["Padding"] != tflite.Padding.VALID:
            raise UnsupportedModel("MAX_POOL_2D with padding is not supported")
        self.simple(
            "MaxPool",
            operator,
            kernel_shape=[options["FilterHeight"], options["FilterWidth"]],
            strides=[options["StrideH"], options["StrideW"]],
        )

    def logistic(self, operator: Operator) -> None:
        self.simple("Sigmoid", operator)

    def reshape(self, operator: Operator) -> None:
        """TFLite flattens NHWC, so a picture of more than one pixel is transposed first."""
        source, (target,) = operator.inputs[0], operator.outputs
        name, shape = self.name(source), self.graph.shapes[source]
        if len(shape) == 4 and shape[1:3] != (1, 1):
            self.node("Transpose", [name], f"{name}.nhwc", perm=[0, 2, 3, 1])
            name = f"{name}.nhwc"
        after = self.graph.shapes[target]
        shape_name = self.constant("shape_" + "x".join(map(str, after)), np.array(after, np.int64))
        self.node("Reshape", [name, shape_name], self.name(target))

    # Parts the operators share.

    def name(self, index: int) -> str:
        return self.names.get(index, f"t{index}")

    def node(self, kind: str, inputs: list[str], output: str, **attributes) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))

    def simple(self, kind: str, operator: Operator, **attributes) -> None:
        if operator.options.get("FusedActivationFunction"):
            raise UnsupportedModel(f"{operator.kind} with an activation is not supported")
        inputs = [self.name(index) for index in operator.inputs]
        self.node(kind, inputs, self.name(operator.outputs[0]), **attributes)

    def constant(self, name: str, values: np.ndarray) -> str:
        """Stores `values` as they are, once, and returns `name`."""
        if name not in self.initializers:
            tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
            self.initializers[name] = tensor
        return name

    def weight(self, name: str, values: np.ndarray) -> str:
        """Stores learnt values in the precision asked for; `name` itself is always float32."""
        stored = values.astype(self.float_dtype)
        if not np.array_equal(stored, values):
            raise UnsupportedModel(f"{name} does not fit into {stored.dtype}")
        if stored.dtype == np.float32:
            return self.constant(name, stored)
        key = self.constant(f"{name}.stored", stored)
        self.casts.append(helper.make_node("Cast", [key], [name], name, to=TensorProto.FLOAT))
        return name

    def double(self, source: str, size: tuple[int, int], target: str) -> None:
        """Doubles a picture of `size`, height and width, by bilinear interpolation."""
        height, width = size
        rows = self.constant(f"double_rows_{height}", _doubling_matrix(height))
        columns = self.constant(f"double_columns_{width}", _doubling_matrix(width).T)
        self.node("MatMul", [source, columns], f"{target}.wide")
        self.node("MatMul", [rows, f"{target}.wide"], target)

    def before_activation(self, operator: Operator) -> str:
        name = self.name(operator.outputs[0])
        if operator.options["FusedActivationFunction"] == tflite.ActivationFunctionType.NONE:
            return name
        return f"{name}.linear"

    def activation(self, operator: Operator) -> None:
        kind = operator.options["FusedActivationFunction"]
        if kind == tflite.ActivationFunctionType.NONE:
            return
        if kind != tflite.ActivationFunctionType.RELU6:
            raise UnsupportedModel(f"activation function {kind} is not supported")
        bounds = [
            self.constant("zero", np.array(0, np.float32)),
            self.constant("six", np.array(6, np.float32)),
        ]
        name = self.name(operator.outputs[0])
        self.node("Clip", [f"{name}.linear", *bounds], name)

    def pads(self, operator: Operator) -> list[int]:
        """TFLite's padding in ONNX order: top, left, bottom, right."""
        options = operator.options
        if options["Padding"] == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        if options["DilationHFactor"] != 1 or options["DilationWFactor"] != 1:
            raise UnsupportedModel("SAME padding of a dilated convolution is not supported")
        source, kernel = operator.inputs[:2]
        before, after = [], []
        for axis, stride in ((1, options["StrideH"]), (2, options["StrideW"])):
            size = self.graph.shapes[source][axis]
            last_start = (size - 1) // stride * stride
            total = max(last_start + self.graph.shapes[kernel][axis] - size, 0)
            before.append(total // 2)
            after.append(total - total // 2)
        return before + after

    def is_pointwise(self, operator: Operator) -> bool:
        if operator.kind != "CONV_2D":
            return False
        strides = (operator.options["StrideH"], operator.options["StrideW"])
        return strides == (1, 1) and self.graph.shapes[operator.inputs[1]][1:3] == (1, 1)

    def value_info(self, index: int) -> onnx.ValueInfoProto:
        shape = nchw(self.graph.shapes[index])
        return helper.make_tensor_value_info(self.name(index), TensorProto.FLOAT, shape)


def _doubling_matrix(size: int) -> np.ndarray:
    """The [2 * size, size] matrix that interpolates `size` samples at twice the rate.

    With half-pixel centres each output sits a quarter step from its nearest sample, so the
    weights are 3/4 and 1/4; at either end the missing neighbour is the end sample itself.
    """
    matrix = np.zeros((2 * size, size), np.float32)
    for output in range(2 * size):
        near = output // 2
        far = min(max(near + (1 if output % 2 else -1), 0), size - 1)
        matrix[output, near] += 0.75
        matrix[output, far] += 0.25
    return matrix
