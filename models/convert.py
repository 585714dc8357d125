#!/usr/bin/env python3
"""Converts MediaPipe's pose models from .tflite to ONNX and writes MANIFEST.toml.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install -r models/requirements.txt
    /tmp/venv/bin/python models/convert.py            # fetches the packages with pip and npm
    /tmp/venv/bin/python models/convert.py --check    # writes nothing, compares sha256
    /tmp/venv/bin/python models/convert.py --install pose_landmark_heavy

The [source] tables of MANIFEST.toml pin the packages; everything below them is written here.
The same packages give the same bytes every time.
"""

import argparse
import hashlib
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

import onnx

import catalogue
import onnx_writer
import packages
import tflite_reader

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "MANIFEST.toml"


class Converted(NamedTuple):
    """A model, its ONNX file and the .tflite file it was made from."""

    model: catalogue.Model
    content: bytes
    original: bytes


class ConversionFailed(Exception):
    """A sentence for the person who ran the command."""


def main() -> int:
    arguments = parse_arguments()
    try:
        manifest = read_manifest()
        if arguments.install:
            install(arguments, manifest)
            return 0
        converted = convert(catalogue.MODELS, arguments, manifest)
        rendered = render_manifest(manifest["source"], converted, arguments.weights)
        if arguments.check:
            return check(converted, rendered)
        for model, content, _ in converted:
            write(arguments.output / model.file, content)
        (arguments.output / MANIFEST.name).write_text(rendered)
    except (
        ConversionFailed,
        packages.PackageUnusable,
        tflite_reader.UnsupportedModel,
        OSError,
    ) as error:
        print(f"convert.py: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--packages",
        type=Path,
        help="directory that has the packages, or gets them; without it, they are not kept",
    )
    parser.add_argument(
        "--check", action="store_true", help="convert, compare with the files here, write nothing"
    )
    parser.add_argument(
        "--install",
        choices=[model.name for model in catalogue.MODELS],
        help="convert this model alone, and write it if it is the one of MANIFEST.toml",
    )
    parser.add_argument(
        "--output", type=Path, default=HERE, help="directory to write to (default: this one)"
    )
    parser.add_argument(
        "--weights",
        choices=("float16", "float32"),
        default="float16",
        help="how weights are stored; the source has half-precision weights, so both are exact",
    )
    return parser.parse_args()


def read_manifest() -> dict:
    try:
        manifest = tomllib.loads(MANIFEST.read_text())
        return {"source": packages.pinned(manifest), "model": manifest.get("model", [])}
    except (KeyError, tomllib.TOMLDecodeError) as error:
        raise ConversionFailed(
            f"{MANIFEST} does not pin its sources ({error}): restore its [source] tables"
        ) from error


def read_originals(
    models: tuple[catalogue.Model, ...], directory: Path | None, sources: packages.Sources
) -> list[bytes]:
    """The .tflite files of the models, in their order."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        return [
            packages.read(sources[model.source], directory, model.source_path) for model in models
        ]


def convert(
    models: tuple[catalogue.Model, ...], arguments: argparse.Namespace, manifest: dict
) -> list[Converted]:
    converted = []
    originals = read_originals(models, arguments.packages, manifest["source"])
    for model, original in zip(models, originals, strict=True):
        names = [output and output.name for output in model.outputs]
        graph = tflite_reader.read(original)
        content = onnx_writer.write(graph, catalogue.INPUT_NAME, names, arguments.weights)
        converted.append(Converted(model, content, original))
    return converted


def install(arguments: argparse.Namespace, manifest: dict) -> None:
    """Writes one model, unless a worker would refuse it."""
    chosen = tuple(model for model in catalogue.MODELS if model.name == arguments.install)
    ((model, content, _),) = convert(chosen, arguments, manifest)
    expected = [entry["sha256"] for entry in manifest["model"] if entry["file"] == model.file]
    if [sha256(content)] != expected:
        raise ConversionFailed(
            f"{model.file} has sha256 {sha256(content)} after conversion, which {MANIFEST.name} "
            f"does not list: install the versions of requirements.txt"
        )
    write(arguments.output / model.file, content)


def write(path: Path, content: bytes) -> None:
    """Renamed when it is complete: programs may open it meanwhile."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(content)
    unfinished.rename(path)
    print(f"{path.name}: {len(content)} bytes, sha256 {sha256(content)}")


def check(converted: list[Converted], manifest: str) -> int:
    """Compares with the files beside this script; 1 if any differs or a stored one is missing."""
    expected = [(model.file, content, model.is_stored) for model, content, _ in converted]
    expected.append((MANIFEST.name, manifest.encode(), True))
    differing = 0
    for name, content, is_stored in expected:
        path = HERE / name
        found = sha256(path.read_bytes()) if path.exists() else "no file"
        is_same = found == sha256(content) or not (is_stored or path.exists())
        verdict = "same" if is_same else "DIFFERS"
        print(f"{name}: {verdict}; converted {sha256(content)}, here {found}")
        differing += not is_same
    return 1 if differing else 0


def render_manifest(sources: packages.Sources, converted: list[Converted], weights: str) -> str:
    """MANIFEST.toml. Every string in it is ours and free of quotes and backslashes."""
    lines = [
        "# Written by convert.py; only the [source] tables are edited by hand.",
        "# Shapes of pictures are NCHW: batch, channel, height, width.",
    ]
    for name, source in sources.items():
        lines += ["", f"[source.{name}]"]
        lines += [f'{key} = "{value}"' for key, value in source._asdict().items()]
    for model, content, original in converted:
        lines += [
            "",
            "[[model]]",
            f'name = "{model.name}"',
            f'file = "{model.file}"',
            f'sha256 = "{sha256(content)}"',
            f"bytes = {len(content)}",
            f"stored = {str(model.is_stored).lower()}",
            f'weights = "{weights}"',
            f'source = "{model.source}"',
            f'source_path = "{model.source_path}"',
            f'source_sha256 = "{sha256(original)}"',
        ]
        graph = onnx.load_from_string(content).graph
        (entry,) = graph.input
        lines += ["", "[model.input]", *describe(entry, model.input_meaning)]
        lines.append(f"range = {list(model.input_range)}")
        kept = [output for output in model.outputs if output]
        for entry, output in zip(graph.output, kept, strict=True):
            lines += ["", "[[model.output]]", *describe(entry, output.meaning)]
    return "\n".join(lines) + "\n"


def describe(entry: onnx.ValueInfoProto, meaning: str) -> list[str]:
    shape = [dimension.dim_value for dimension in entry.type.tensor_type.shape.dim]
    return [f'name = "{entry.name}"', f"shape = {shape}", f'meaning = "{meaning}"']


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
