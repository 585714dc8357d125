#!/usr/bin/env bash
# Runs tests as an unprivileged user: the cage of resource limits, the sandbox in user namespaces, the
# verdicts, and one video from upload to results. Called by `make test` after the tests are built.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly USER_ID=61235
readonly TESTS=(
	"cage"
	"sandbox"
	"service verdicts::"
	"service processing::a_video_becomes_pose_data_and_pictures"
	"load oom::"
)

if [ "$(id -u)" -ne 0 ]; then
	echo "test-unprivileged: nothing to do: all tests already ran as user $(id -u)"
	exit 0
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
install -d -o $USER_ID -g $USER_ID "$folder/home" "$folder/tmp"

as_user() {
	setpriv --reuid=$USER_ID --regid=$USER_ID --clear-groups --inh-caps=-all \
		env -i PATH="$PATH" HOME="$folder/home" TMPDIR="$folder/tmp" LANG=C.UTF-8 \
			${SKIPPED_CHECKS:+"SKIPPED_CHECKS=$SKIPPED_CHECKS"} "$@"
}

# "Executable tests/cage.rs (target/debug/deps/cage-0123)", relative to this folder.
built=$(cargo test --locked --workspace --no-run 2>&1 | sed -nE 's/^ *Executable .*\((.*)\)$/\1/p')
for test in "${TESTS[@]}"; do
	read -r name filter <<<"$test"
	program=$(grep -E "/$name-[0-9a-f]+$" <<<"$built")
	if ! as_user test -x "$PWD/$program"; then
		tests/skips.sh skip unprivileged "$PWD/$program cannot be read by user $USER_ID; use a folder that can"
		exit 0
	fi
	echo "test-unprivileged: $name ${filter:+($filter) }as user $USER_ID"
	as_user "$PWD/$program" ${filter:+"$filter"}
done
echo "test-unprivileged: all passed as user $USER_ID"
