#!/usr/bin/env python3
"""Compares what the programs of an unpacked package list as their dependencies with its list of components (SBOM).

usage: components.py FOLDER
"""

import json
import subprocess
import sys
import zlib
from pathlib import Path


def dependencies(program):
    """What `cargo auditable` writes: compressed JSON in a section that survives `strip`."""
    dumped = subprocess.run(
        ["objcopy", "--dump-section", ".dep-v0=/dev/stdout", program, "/dev/null"], check=True, capture_output=True
    )
    if not dumped.stdout:
        sys.exit(f"components: {program} does not list its dependencies")
    packages = json.loads(zlib.decompress(dumped.stdout))["packages"]
    return {(package["name"], package["version"]) for package in packages}


def main(folder):
    sbom = json.loads((folder / "usr/share/doc/bodyscript/bodyscript.cdx.json").read_bytes())
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5"), sbom.keys()
    references = [component["bom-ref"] for component in sbom["components"]]
    assert len(references) == len(set(references)), "a reference has several components"
    missing = {ref for entry in sbom["dependencies"] for ref in entry["dependsOn"]} - set(references)
    assert not missing, f"dependencies without a component: {missing}"
    components = {(component["name"], component.get("version")) for component in sbom["components"]}
    for name in ["usr/bin/bodyscript", "usr/lib/bodyscript/bodyscript-worker"]:
        listed = dependencies(folder / name)
        assert (Path(name).name, sbom["metadata"]["component"]["version"].split("-")[0]) in listed, listed
        assert listed <= components, f"{name}: not in the list of components: {listed - components}"
        print(f"components: all {len(listed)} packages of {name} are among the {len(references)} of the list")


main(Path(sys.argv[1]))
