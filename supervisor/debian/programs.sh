#!/usr/bin/env bash
# Builds the programs of a release, with a list of their dependencies in each, so that their bytes depend on the source
# and the compiler, and not on folders or settings of this machine. Lists of components for `sbom.py` are beside them.
# usage: programs.sh TOOLS_DIR TARGET_DIR CARGO_ARGUMENT...; called by `make deb-release`.
set -euo pipefail
tools=$(realpath "$1")
CARGO_TARGET_DIR=$(realpath -m "$2")
export CARGO_TARGET_DIR
cd "$(dirname "$0")/../.."
release=$CARGO_TARGET_DIR/release
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-parsechangelog -l supervisor/debian/changelog -S Timestamp)}

# Panic messages name files of the source; the folder of a registry has the name of its mirror.
cargo fetch --locked --quiet --target "$(rustc -vV | sed -n 's/^host: //p')"
flags=("--remap-path-prefix=$PWD=/bodyscript")
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
	flags+=("--remap-path-prefix=$registry=/crates")
done
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
# Symbols and debug information name folders too; removed after the link, they would still be part of the build ID.
export CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=symbols

# The two variables are what `cargo auditable` sets, but for the folder of the wrapper: cargo hashes the wrapper's path
# into the symbols of the workspace.
PATH=$tools:$PATH RUSTC_WORKSPACE_WRAPPER=cargo-auditable \
	CARGO_AUDITABLE_ORIG_ARGS='{"offline":false,"locked":true,"frozen":false,"config":[]}' \
	cargo build --locked --release "${@:3}"

# They are written beside the manifest of every member of the workspace.
"$tools/cargo-cyclonedx" cyclonedx --quiet --format json --spec-version 1.5
mv supervisor/bodyscript.cdx.json worker/bodyscript-worker.cdx.json "$release"
find protocol supervisor worker tests -name '*.cdx.json' -delete
