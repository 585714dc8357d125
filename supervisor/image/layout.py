#!/usr/bin/env python3
"""Writes a file tree as a container image: an OCI image layout of one layer, in a tar file. Called by `image.sh`.

usage: layout.py ROOT.tar VERSION ARCHITECTURE USER_ID OUT.oci.tar; SOURCE_DATE_EPOCH is the time of everything in it.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from datetime import datetime, timezone

MEDIA_TYPE = "application/vnd.oci.image."
SECOND_NS = 10**9
CHUNK_BYTES = 1 << 20


class Digest(io.RawIOBase):
    """Hashes and counts what is written through it."""

    def __init__(self, file):
        self.file, self.size, self.hash = file, 0, hashlib.sha256()

    def write(self, data):
        self.file.write(data)
        self.size += len(data)
        self.hash.update(data)
        return len(data)

    def name(self):
        return "sha256:" + self.hash.hexdigest()


def compress(root, layer):
    """Writes the tar file as a layer; returns the digest of the one and of the other."""
    packed = Digest(layer)
    with open(root, "rb") as file, gzip.GzipFile("", "wb", 6, packed, mtime=0) as archive:
        plain = Digest(archive)
        while data := file.read(CHUNK_BYTES):
            plain.write(data)
    return plain.name(), packed


def configuration(version, architecture, user_id, created, layer):
    """What a container of the image runs by default, and as whom."""
    return {
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": f"{user_id}:{user_id}",
            "ExposedPorts": {"8000/tcp": {}},
            "Env": [
                "PATH=/usr/bin:/bin",
                "LANG=C.UTF-8",
                "BODYSCRIPT_LISTEN=0.0.0.0:8000",
                "BODYSCRIPT_STATE_DIR=/var/lib/bodyscript",
            ],
            "Entrypoint": ["/usr/bin/bodyscript"],
            "Cmd": ["serve"],
            "Volumes": {"/var/lib/bodyscript": {}},
            "WorkingDir": "/var/lib/bodyscript",
            "StopSignal": "SIGTERM",
            # Not of the OCI's: Docker and its successors read it, Podman is told by its own options.
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/bodyscript", "ctl", "status"],
                "Interval": 30 * SECOND_NS,
                "Timeout": 10 * SECOND_NS,
                "StartPeriod": 60 * SECOND_NS,
                "Retries": 3,
            },
            "Labels": {
                "org.opencontainers.image.title": "bodyscript",
                "org.opencontainers.image.description": "Human pose estimation for short videos, over HTTP",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.created": created,
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [layer]},
        "history": [{"created": created, "created_by": "mmdebstrap, dpkg"}],
    }


def main():
    root, version, architecture, user_id, out = sys.argv[1:]
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    created = datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    layer_file = out + ".layer"
    with open(layer_file, "wb") as file:
        diff_id, layer = compress(root, file)

    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as image:

        def add(name, size, data):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = size, epoch, 0o644
            image.addfile(entry, data)

        def add_json(kind, value):
            """Adds a document as a blob; returns the reference to it."""
            text = json.dumps(value, indent=2).encode()
            digest = hashlib.sha256(text).hexdigest()
            add(f"blobs/sha256/{digest}", len(text), io.BytesIO(text))
            return {"mediaType": MEDIA_TYPE + kind, "digest": f"sha256:{digest}", "size": len(text)}

        text = json.dumps({"imageLayoutVersion": "1.0.0"}).encode()
        add("oci-layout", len(text), io.BytesIO(text))
        with open(layer_file, "rb") as file:
            add("blobs/sha256/" + layer.hash.hexdigest(), layer.size, file)
        os.remove(layer_file)
        config = add_json("config.v1+json", configuration(version, architecture, user_id, created, diff_id))
        gzipped = {"mediaType": MEDIA_TYPE + "layer.v1.tar+gzip", "digest": layer.name(), "size": layer.size}
        kind = "manifest.v1+json"
        manifest = {"schemaVersion": 2, "mediaType": MEDIA_TYPE + kind, "config": config, "layers": [gzipped]}
        reference = add_json(kind, manifest)
        # A tag has fewer characters than a version of Debian's.
        tag = version.replace("~", "-").replace("+", "-")
        reference["annotations"] = {"org.opencontainers.image.ref.name": f"bodyscript:{tag}"}
        text = json.dumps({"schemaVersion": 2, "mediaType": MEDIA_TYPE + "index.v1+json", "manifests": [reference]}).encode()
        add("index.json", len(text), io.BytesIO(text))


if __name__ == "__main__":
    main()
