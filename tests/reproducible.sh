#!/usr/bin/env bash
# Builds the release package of the last commit twice, from two clones in folders and under settings of their own, and
# compares byte for byte. Then compares what its programs list as dependencies with its list of components.
# usage: reproducible.sh TOOLS_DIR; called by `make reproducible`, which fetches the tools.
set -euo pipefail
tools=$(realpath "$1")
tests=$(dirname "$(realpath "$0")")
repository=$(dirname "$tests")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
commit=$(git -C "$repository" rev-parse HEAD)
git -C "$repository" diff --quiet HEAD || echo "reproducible: changes that are not committed are not built"

# build FOLDER VARIABLE=VALUE...: leaves the package in $work/FOLDER.
build() {
	local clone=$work/$1/clone began=$SECONDS
	git clone --quiet --no-checkout "$repository" "$clone"
	git -C "$clone" checkout --quiet --detach "$commit"
	mkdir "$clone/target"
	# Copied: the folder of a tool must not matter either.
	cp -r "$tools" "$clone/target/sbom"
	env --unset=MAKEFLAGS --unset=MAKELEVEL "${@:2}" make -C "$clone" --no-print-directory deb >"$work/$1/log" 2>&1 ||
		{ tail -40 "$work/$1/log" >&2; exit 1; }
	mv "$clone"/target/debian/* "$work/$1"
	rm -rf "$clone"
	echo "reproducible: built in $((SECONDS - began)) s"
}

# unpack FOLDER: the files of its package in $work/FOLDER/files, and its list of them.
unpack() {
	dpkg-deb --raw-extract "$work/$1"/*.deb "$work/$1/files"
	dpkg-deb --contents "$work/$1"/*.deb >"$work/$1/contents"
}

ln -s "${CARGO_HOME:-$HOME/.cargo}" "$work/cargo"
mkdir "$work/temporary"
(umask 022 && build first LC_ALL=C TZ=UTC)
(umask 077 && build second/with/a/longer/path LC_ALL=C.UTF-8 TZ=Pacific/Kiritimati CARGO_HOME="$work/cargo" TMPDIR="$work/temporary")
mv "$work/second/with/a/longer/path" "$work/other"

unpack first
if ! cmp "$work"/{first,other}/*.deb; then
	unpack other
	diff --brief --recursive "$work"/{first,other}/files >&2 || true
	diff "$work"/{first,other}/contents >&2 || true
	exit 1
fi
cmp "$work"/{first,other}/*.cdx.json
"$tests/components.py" "$work/first/files"
(cd "$work/first" && sha256sum *.deb && stat --printf='%s bytes\n' *.deb)
