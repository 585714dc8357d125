#!/usr/bin/env python3
"""Converts MediaPipe's pose models from .tflite to ONNX and writes MANIFEST.toml.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install -r models/requirements.txt
    /tmp/venv/bin/python models/convert.py            # fetches the wheel with pip
    /tmp/venv/bin/python models/convert.py --check    # writes nothing, compares sha256

The [source] table of MANIFEST.toml pins the wheel; everything below it is written here.
The same wheel gives the same bytes every time.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

import onnx

import catalogue
import onnx_writer
import tflite_reader

HERE = Path(__file__).resolve().parent
MANIFEST = HERE / "MANIFEST.toml"
SOURCE_KEYS = ("package", "version", "wheel", "wheel_sha256", "licence")


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
        source = pinned_source()
        converted = convert(read_originals(arguments.wheel, source), arguments.weights)
        manifest = render_manifest(source, converted, arguments.weights)
        if arguments.check:
            return check(converted, manifest)
        for model, content, _ in converted:
            (arguments.output / model.file).write_bytes(content)
            print(f"{model.file}: {len(content)} bytes, sha256 {sha256(content)}")
        (arguments.output / MANIFEST.name).write_text(manifest)
    except (ConversionFailed, tflite_reader.UnsupportedModel, OSError) as error:
        print(f"convert.py: {error}", file=sys.stderr)
        return 1
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "wheel", nargs="?", type=Path, help="the MediaPipe wheel; without it, pip downloads it"
    )
    parser.add_argument(
        "--check", action="store_true", help="convert, compare with the files here, write nothing"
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


def pinned_source() -> dict[str, str]:
    """The [source] table of MANIFEST.toml."""
    try:
        source = tomllib.loads(MANIFEST.read_text())["source"]
        return {key: source[key] for key in SOURCE_KEYS}
    except (KeyError, tomllib.TOMLDecodeError) as error:
        raise ConversionFailed(
            f"{MANIFEST} does not pin its source ({error}): restore its [source] table"
        ) from error


def download(source: dict[str, str], directory: Path) -> Path:
    """Fetches the pinned wheel, whatever the platform and Python this runs on."""
    _, _, python, abi, platform = source["wheel"].removesuffix(".whl").split("-")
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--implementation", python[:2], "--python-version", python[2:], "--abi", abi,
        "--platform", platform, "--dest", str(directory),
        f"{source['package']}=={source['version']}",
    ]  # fmt: skip
    if subprocess.run(command, check=False).returncode != 0:
        raise ConversionFailed(f"pip could not download {source['wheel']}: give its path instead")
    return directory / source["wheel"]


def read_originals(wheel: Path | None, source: dict[str, str]) -> list[bytes]:
    """The .tflite files of catalogue.MODELS out of the wheel, which None means to download."""
    with tempfile.TemporaryDirectory() as directory:
        wheel = wheel or download(source, Path(directory))
        content = wheel.read_bytes()
    if sha256(content) != source["wheel_sha256"]:
        raise ConversionFailed(
            f"{wheel} has sha256 {sha256(content)}, but {MANIFEST.name} pins "
            f"{source['wheel_sha256']} for {source['wheel']}: give that very wheel"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [archive.read(model.source_path) for model in catalogue.MODELS]


def convert(originals: list[bytes], weights: str) -> list[Converted]:
    converted = []
    for model, original in zip(catalogue.MODELS, originals, strict=True):
        names = [output and output.name for output in model.outputs]
        graph = tflite_reader.read(original)
        content = onnx_writer.write(graph, catalogue.INPUT_NAME, names, weights)
        converted.append(Converted(model, content, original))
    return converted


def check(converted: list[Converted], manifest: str) -> int:
    """Compares with the files beside this script; 1 if any differs."""
    expected = [(model.file, content) for model, content, _ in converted]
    expected.append((MANIFEST.name, manifest.encode()))
    differing = 0
    for name, content in expected:
        path = HERE / name
        found = sha256(path.read_bytes()) if path.exists() else "no file"
        verdict = "same" if found == sha256(content) else "DIFFERS"
        print(f"{name}: {verdict}; converted {sha256(content)}, here {found}")
        differing += verdict != "same"
    return 1 if differing else 0


def render_manifest(source: dict[str, str], converted: list[Converted], weights: str) -> str:
    """MANIFEST.toml. Every string in it is ours and free of quotes and backslashes."""
    lines = [
        "# Written by convert.py; only [source] is edited by hand.",
        "# Shapes of pictures are NCHW: batch, channel, height, width.",
        "",
        "[source]",
        *(f'{key} = "{source[key]}"' for key in SOURCE_KEYS),
    ]
    for model, content, original in converted:
        lines += [
            "",
            "[[model]]",
            f'name = "{model.name}"',
            f'file = "{model.file}"',
            f'sha256 = "{sha256(content)}"',
            f"bytes = {len(content)}",
            f'weights = "{weights}"',
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
