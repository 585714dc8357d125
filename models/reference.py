#!/usr/bin/env python3
"""Writes reference.json: what the original .tflite models answer to a known picture.

    /tmp/venv/bin/pip install -r models/requirements-reference.txt
    /tmp/venv/bin/python models/reference.py          # fetches the packages with pip and npm

A test repaints the picture from the capsules in the file, by the rules in picture.py, runs
the converted models on it and compares. Large outputs are sampled: evenly, at a prime step
so that no axis is skipped, plus the largest values. Indices count the elements of the
converted output, NCHW, in row-major order. The interpreter runs TFLite's own kernels in
single precision, not XNNPACK, which the landmark models allow to use half precision.
"""

import argparse
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import catalogue
import convert
import packages
import picture
import tflite_reader

TARGET = convert.HERE / "reference.json"
WHOLE_MAX = 256
SAMPLES = 600
LARGEST = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--packages",
        type=Path,
        help="directory that has the packages, or gets them; without it, they are not kept",
    )
    arguments = parser.parse_args()
    try:
        sources = convert.read_manifest()["source"]
        originals = convert.read_originals(catalogue.MODELS, arguments.packages, sources)
        document = describe(originals)
        TARGET.write_text(render(document))
    except (convert.ConversionFailed, packages.PackageUnusable, OSError) as error:
        print(f"reference.py: {error}", file=sys.stderr)
        return 1
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")
    return 0


def describe(originals: list[bytes]) -> dict:
    return {
        "about": "Written by reference.py; the rules for painting are in picture.py.",
        "interpreter": f"ai-edge-litert {version('ai-edge-litert')}, without delegates",
        "tolerance": 0.001,
        "tolerance_base": "the output's range: its largest minus its smallest element over the "
        "whole reference output; 1 for flag, a single probability",
        "capsules": [[*ends, *colour] for *ends, colour in picture.CAPSULES],
        "models": [
            describe_model(model, original)
            for model, original in zip(catalogue.MODELS, originals, strict=True)
        ],
    }


def describe_model(model: catalogue.Model, original: bytes) -> dict:
    interpreter = Interpreter(
        model_content=original,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    size = int(entry["shape"][1])
    painted = picture.paint(size)
    low, high = model.input_range
    divisor = np.float32(255 / (high - low))
    values = painted.astype(np.float32) / divisor + np.float32(low)
    interpreter.set_tensor(entry["index"], values[np.newaxis])
    interpreter.invoke()

    # The interpreter may list outputs in another order than the file does.
    order = tflite_reader.read(original).outputs
    outputs = []
    for index, output in zip(order, model.outputs, strict=True):
        if output:
            outputs.append(describe_output(output.name, interpreter.get_tensor(index)))
    return {
        "name": model.name,
        "file": model.file,
        "input": {
            "size": size,
            "rgb_sha256": hashlib.sha256(painted.tobytes()).hexdigest(),
            "rule": "byte / divisor + offset, in single precision",
            "divisor": float(divisor),
            "offset": low,
        },
        "outputs": outputs,
    }


def describe_output(name: str, values: np.ndarray) -> dict:
    if values.ndim == 4:
        values = values.transpose(0, 3, 1, 2)
    flat = values.reshape(-1)
    low, high = float(flat.min()), float(flat.max())
    indices = sampled(flat)
    return {
        "name": name,
        "shape": list(values.shape),
        "range": high - low if flat.size > 1 else 1.0,
        "min": low,
        "max": high,
        "mean": float(flat.mean(dtype=np.float64)),
        "indices": indices.tolist(),
        "values": [float(str(value)) for value in flat[indices]],
    }


def sampled(flat: np.ndarray) -> np.ndarray:
    """Which elements to record, ascending."""
    if flat.size <= WHOLE_MAX:
        return np.arange(flat.size)
    step = -(-flat.size // SAMPLES)
    while any(step % divisor == 0 for divisor in range(2, step)):
        step += 1
    largest = np.argsort(flat, kind="stable")[-LARGEST:]
    return np.union1d(np.arange(0, flat.size, step), largest)


def render(document: dict) -> str:
    """JSON with one line per list of numbers, so that a change shows where it is."""
    lists: list[str] = []

    def shelve(node):
        if isinstance(node, dict):
            return {key: shelve(value) for key, value in node.items()}
        if isinstance(node, list) and all(isinstance(item, int | float) for item in node):
            lists.append(json.dumps(node))
            return f"@{len(lists) - 1}@"
        return [shelve(item) for item in node] if isinstance(node, list) else node

    text = json.dumps(shelve(document), indent=1)
    for position, numbers in enumerate(lists):
        text = text.replace(f'"@{position}@"', numbers)
    return text + "\n"


if __name__ == "__main__":
    sys.exit(main())
