#!/usr/bin/env bash
# Builds the programs of the version before the newest change of the tables that hosts share, from the history of this
# source tree, into a folder: the source in FOLDER/source, the programs in FOLDER/build/debug.
#   previous_version.sh FOLDER
set -euo pipefail
here=$(dirname "$(realpath "$0")")
folder=$1
tables=supervisor/src/store/journal/postgres/schema.rs

number=$(sed -n 's/^const STEPS: \[&str; \([0-9]*\)\].*/\1/p' "$here/../$tables")
newest=$(git -C "$here" log -1 --format=%H -S"const STEPS: [&str; $number]" -- ":/$tables" 2>/dev/null || true)
previous=$(git -C "$here" rev-parse --verify --quiet "${newest:-none}^" || true)
if [ -z "$previous" ]; then
	"$here/skips.sh" skip previous-version "there is no history of $tables before its step $number"
	exit 0
fi
mkdir -p "$folder"
if [ "$(cat "$folder/commit" 2>/dev/null)" != "$previous" ]; then
	rm -rf "$folder/source" "$folder/commit"
	mkdir "$folder/source"
	git -C "$here/.." archive "$previous" | tar -x -C "$folder/source"
	echo "$previous" >"$folder/commit"
fi
echo "previous-version: $(git -C "$here" log -1 --format='%h %s' "$previous")"
cargo build --locked --manifest-path "$folder/source/Cargo.toml" --target-dir "$folder/build" \
	--bin bodyscript --bin fault_worker
