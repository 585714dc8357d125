#!/usr/bin/env bash
# Compiles a crate of the workspace, and has clippy and rustdoc check it: a warning fails the build. `make test` builds
# with this as RUSTC_WORKSPACE_WRAPPER, because `cargo clippy` and `cargo doc` compile all dependencies a second time.
# usage: lint.sh RUSTC ARGUMENTS
set -euo pipefail
"$@"
# Not set when cargo asks for the version of the compiler.
[ -n "${CARGO_PRIMARY_PACKAGE:-}" ] || exit 0

# The arguments without outputs, of which cargo expects those of the compiler only.
arguments=("${@:2}") options=()
for ((i = 0; i < ${#arguments[@]}; i++)); do
	case "${arguments[i]} ${arguments[i + 1]:-}" in
	--emit=*) ;;
	--json=*) options+=(--json=diagnostic-rendered-ansi) ;;
	--out-dir* | "-C incremental="*) ((i += 1)) ;;
	*) options+=("${arguments[i]}") ;;
	esac
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
options+=(--out-dir "$scratch" -D warnings)
clippy-driver "$1" "${options[@]}" --emit=metadata
case " ${options[*]} " in
*" --test "*) ;;
*) rustdoc "${options[@]}" --document-private-items ;;
esac
