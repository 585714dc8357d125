"""One of the two networks in another engine, on one thread, by turns.

    python networks.py onnxruntime|tflite pose_detection|pose_landmark_full

Each line that comes asks for a number of inferences; the printed cost is that of the cheapest.
onnxruntime runs the files in models/, TFLite with XNNPACK those in the MediaPipe package they were
made from, which have the segmentation mask besides.
"""

import importlib.util
import sys
import time
from math import prod
from pathlib import Path

import numpy as np

import turns

MODELS = Path(__file__).resolve().parents[2] / "models"
sys.path.insert(0, str(MODELS))

import catalogue  # noqa: E402


def onnxruntime(model, random):
    import onnx
    import onnxruntime as engine

    path = MODELS / model.file
    options = engine.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = engine.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    planes = {entry.name: random.random(entry.shape, dtype=np.float32)}
    return lambda: session.run(None, planes), multiplications(onnx.load(path))


def tflite(model, random):
    from ai_edge_litert.interpreter import Interpreter

    package = Path(importlib.util.find_spec("mediapipe").origin).parents[1]
    interpreter = Interpreter(str(package / model.source_path), num_threads=1)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    planes = random.random(tuple(entry["shape"]), dtype=np.float32)

    def run():
        interpreter.set_tensor(entry["index"], planes)
        interpreter.invoke()

    return run, None


def multiplications(model):
    """Multiplications with weights that one inference takes."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    shapes = {
        value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in values
    }
    shapes.update({weights.name: list(weights.dims) for weights in graph.initializer})
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
        elif node.op_type in ("MatMul", "Gemm"):
            total += prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
    return total


def cheapest(run, times):
    walls, cpus = [], []
    for _ in range(times):
        begun, used = time.perf_counter(), time.thread_time()
        run()
        walls.append(time.perf_counter() - begun)
        cpus.append(time.thread_time() - used)
    return {"frames": 1, "wall_s": min(walls), "cpu_s": min(cpus)}


if __name__ == "__main__":
    engine, name = sys.argv[1:]
    model = next(model for model in catalogue.MODELS if model.name == name)
    opened = {"onnxruntime": onnxruntime, "tflite": tflite}[engine]
    run, count = opened(model, np.random.default_rng(1))
    package = {"onnxruntime": "onnxruntime", "tflite": "ai-edge-litert"}[engine]
    turns.take(lambda times: cheapest(run, int(times)), [package], multiplications=count)
