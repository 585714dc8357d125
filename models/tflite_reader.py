"""Reads a .tflite file into a plain graph of operators and dense constants.

Called by convert.py. It knows the TFLite format and nothing of ONNX; it never
alters a value: half-precision and sparse weights come out exactly as stored.
"""

from dataclasses import dataclass, field

import numpy as np
import tflite


class UnsupportedModel(Exception):
    """The .tflite file uses something this reader or its caller does not handle."""


@dataclass(frozen=True)
class Operator:
    """One operator: tensors by index, options by their TFLite names."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """A subgraph in execution order. Shapes are TFLite's own, NHWC."""

    operators: list[Operator]
    constants: dict[int, np.ndarray]
    shapes: dict[int, tuple[int, ...]]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


_KIND_NAMES = {
    value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)
}

_DTYPES = {
    tflite.TensorType.FLOAT32: np.dtype("<f4"),
    tflite.TensorType.FLOAT16: np.dtype("<f2"),
    tflite.TensorType.INT32: np.dtype("<i4"),
}

# Per operator: the class of its options table and the fields the converter reads.
_OPTIONS = {
    "CONV_2D": (
        tflite.Conv2DOptions,
        ("StrideH", "StrideW", "Padding", "DilationHFactor", "DilationWFactor",
         "FusedActivationFunction"),
    ),
    "DEPTHWISE_CONV_2D": (
        tflite.DepthwiseConv2DOptions,
        ("StrideH", "StrideW", "Padding", "DilationHFactor", "DilationWFactor",
         "FusedActivationFunction", "DepthMultiplier"),
    ),
    "ADD": (tflite.AddOptions, ("FusedActivationFunction",)),
    "DEPTH_TO_SPACE": (tflite.DepthToSpaceOptions, ("BlockSize",)),
    "RESIZE_BILINEAR": (tflite.ResizeBilinearOptions, ("AlignCorners", "HalfPixelCenters")),
    "CONCATENATION": (tflite.ConcatenationOptions, ("Axis", "FusedActivationFunction")),
    "MAX_POOL_2D": (
        tflite.Pool2DOptions,
        ("StrideH", "StrideW", "Padding", "FilterHeight", "FilterWidth",
         "FusedActivationFunction"),
    ),
}  # fmt: skip


def read(content: bytes) -> Graph:
    """Parses a .tflite file of one subgraph; DEQUANTIZE and DENSIFY of constants vanish."""
    if not tflite.Model.ModelBufferHasIdentifier(content, 0):
        raise UnsupportedModel("not a .tflite file: the TFL3 identifier is missing")
    model = tflite.Model.GetRootAs(content, 0)
    if model.SubgraphsLength() != 1:
        raise UnsupportedModel(f"expected one subgraph, found {model.SubgraphsLength()}")
    subgraph = model.Subgraphs(0)

    constants, shapes = {}, {}
    for index in range(subgraph.TensorsLength()):
        tensor = subgraph.Tensors(index)
        shapes[index] = _ints(tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength():
            constants[index] = _constant(tensor, buffer.DataAsNumpy().tobytes(), shapes[index])

    operators = []
    for index in range(subgraph.OperatorsLength()):
        operator = _operator(model, subgraph.Operators(index))
        if operator.kind in ("DEQUANTIZE", "DENSIFY") and operator.inputs[0] in constants:
            constants[operator.outputs[0]] = constants[operator.inputs[0]]
        else:
            operators.append(operator)
    return Graph(
        operators,
        constants,
        shapes,
        _ints(subgraph.InputsAsNumpy()),
        _ints(subgraph.OutputsAsNumpy()),
    )


def without_dead_code(graph: Graph, outputs: tuple[int, ...]) -> list[Operator]:
    """The operators that the given output tensors depend on, in execution order."""
    needed, kept = set(outputs), []
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs):
            needed.update(operator.inputs)
            kept.append(operator)
    return kept[::-1]


def _ints(array) -> tuple[int, ...]:
    return tuple(int(value) for value in array)


def _operator(model, raw) -> Operator:
    kind = _KIND_NAMES[model.OperatorCodes(raw.OpcodeIndex()).BuiltinCode()]
    options = {}
    if kind in _OPTIONS:
        table_class, names = _OPTIONS[kind]
        table = table_class()
        table.Init(raw.BuiltinOptions().Bytes, raw.BuiltinOptions().Pos)
        options = {name: int(getattr(table, name)()) for name in names}
    return Operator(kind, _ints(raw.InputsAsNumpy()), _ints(raw.OutputsAsNumpy()), options)


def _constant(tensor, data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    if tensor.Type() not in _DTYPES:
        raise UnsupportedModel(f"tensor {tensor.Name()!r}: unsupported type {tensor.Type()}")
    values = np.frombuffer(data, _DTYPES[tensor.Type()])
    if tensor.Sparsity() is None:
        return values.reshape(shape)
    return _densify(tensor.Sparsity(), values, shape)


def _densify(sparsity, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Spreads compressed sparse values over a dense tensor.

    Levels are walked outermost first, for all stored values at once: `offsets` holds each
    branch's place in the storage of the level reached, `coordinates` where it lies in the
    tensor. The encoding is described in TFLite's schema.fbs at `SparsityParameters`.
    """
    if sparsity.DimMetadataLength() != len(shape):
        raise UnsupportedModel("block-sparse tensors are not supported")
    offsets = np.zeros(1, np.int64)
    coordinates = {}
    for level, axis in enumerate(_ints(sparsity.TraversalOrderAsNumpy())):
        dimension = sparsity.DimMetadata(level)
        if dimension.Format() == tflite.DimensionType.DENSE:
            size = dimension.DenseSize()
            branch = np.repeat(np.arange(len(offsets)), size)
            along = np.tile(np.arange(size), len(offsets))
            offsets = offsets[branch] * size + along
        else:
            segments = _index_vector(dimension.ArraySegmentsType(), dimension.ArraySegments())
            indices = _index_vector(dimension.ArrayIndicesType(), dimension.ArrayIndices())
            lengths = segments[offsets + 1] - segments[offsets]
            branch = np.repeat(np.arange(len(offsets)), lengths)
            first = np.repeat(segments[offsets] - np.cumsum(lengths) + lengths, lengths)
            offsets = first + np.arange(len(branch))
            along = indices[offsets]
        coordinates = {other: where[branch] for other, where in coordinates.items()}
        coordinates[axis] = along
    dense = np.zeros(shape, values.dtype)
    dense[tuple(coordinates[axis] for axis in range(len(shape)))] = values[offsets]
    return dense


def _index_vector(kind: int, table) -> np.ndarray:
    vectors = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }
    if kind not in vectors:
        raise UnsupportedModel(f"unknown sparse index vector type {kind}")
    vector = vectors[kind]()
    vector.Init(table.Bytes, table.Pos)
    return vector.ValuesAsNumpy().astype(np.int64)
