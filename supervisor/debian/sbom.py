#!/usr/bin/env python3
"""Writes the list of components of the Debian package (SBOM, CycloneDX 1.5 in JSON).

usage: sbom.py VERSION DEPENDS CYCLONEDX_FILE...

Merges the lists that cargo-cyclonedx made of each program, without folders of this machine; adds the networks
of models/MANIFEST.toml that are in the package and the Debian packages of DEPENDS, a list in the syntax of that field.
"""

import json
import os
import re
import sys
import tomllib


def crates_of(files):
    """The programs and all their dependencies by reference, and who depends on whom."""
    programs, components, dependencies = [], {}, {}
    for file in files:
        with open(file, encoding="utf-8") as opened:
            listed = json.loads(opened.read().replace(f"path+file://{os.getcwd()}/", ""))
        program = listed["metadata"]["component"]
        # The targets of a package, which are no components of their own.
        del program["components"]
        programs.append(program["bom-ref"])
        for component in [program, *listed["components"]]:
            known = components.setdefault(component["bom-ref"], component)
            # What one program contains counts, even if the other is only built with it.
            if component["scope"] == "required":
                known["scope"] = "required"
        for entry in listed["dependencies"]:
            dependencies.setdefault(entry["ref"], set()).update(entry.get("dependsOn", []))
    return programs, components, dependencies, listed["metadata"]


def networks():
    with open("models/MANIFEST.toml", "rb") as opened:
        manifest = tomllib.load(opened)
    for model in manifest["model"]:
        if not model["stored"]:
            continue
        source = manifest["source"][model["source"]]
        yield {
            "type": "machine-learning-model",
            "bom-ref": f"models/{model['file']}",
            "name": model["name"],
            "version": source["version"],
            "description": f"{model['source_path']} of {source['package']} {source['version']}, converted to ONNX",
            "hashes": [{"alg": "SHA-256", "content": model["sha256"]}],
            "licenses": [{"license": {"id": source["licence"]}}],
        }


def debian_packages(depends):
    for dependency in re.split(r"\s*,\s*", depends):
        purl = f"pkg:deb/debian/{dependency.split()[0]}"
        yield {
            "type": "library",
            "bom-ref": purl,
            "name": dependency.split()[0],
            "purl": purl,
            "properties": [{"name": "debian:depends", "value": dependency}],
        }


def main(version, depends, *files):
    programs, crates, dependencies, metadata = crates_of(files)
    others = [*networks(), *debian_packages(depends)]
    package = {"type": "application", "bom-ref": "bodyscript", "name": "bodyscript", "version": version}
    dependencies[package["bom-ref"]] = {*programs, *(other["bom-ref"] for other in others)}
    components = sorted([*crates.values(), *others], key=lambda component: component["bom-ref"])
    sbom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {**metadata, "component": {**package, "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(dependencies[ref])} for ref in sorted(dependencies)
        ],
    }
    json.dump(sbom, sys.stdout, indent=1, ensure_ascii=False)
    print()


main(*sys.argv[1:])
