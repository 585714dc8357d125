#!/usr/bin/env bash
# Runs the container image as an ordinary user, without a daemon: prints what cage and sandbox workers have there, holds it
# against `expected`, and processes a video.
# usage: run.sh IMAGE.oci.tar TOOLS_DIR VIDEO; TOOLS_DIR has crun, umoci and Podman's profile of system calls, unpacked.
# Needs root, to become that user.
set -euo pipefail
image=$(realpath "$1") tools=$(realpath "$2") video=$(realpath "$3")
readonly USER_ID=61236 PORT=18790 WAIT_S_MAX=180
# What `bodyscript doctor` says: `mdwe` and `mseal` depend on the host's kernel and the profile.
readonly expected=(workers:good memory:good state_dir:good "sandbox rlimits:good" "sandbox descriptors:good"
	"sandbox no_new_privs:good" "sandbox namespaces:good" "sandbox capabilities:good" "sandbox landlock:good"
	"sandbox seccomp:good")

folder=$(mktemp -d)
container=bodyscript-$$
# crun refuses hosts that have cgroups of both versions; it is to use neither.
as_user() {
	unshare --mount sh -c 'umount --lazy /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' sh \
		setpriv --reuid=$USER_ID --regid=$USER_ID --clear-groups --inh-caps=-all \
		env -i PATH="$tools/usr/bin:/usr/bin:/bin" HOME="$folder" XDG_RUNTIME_DIR="$folder/runtime" \
		LD_LIBRARY_PATH="$tools/usr/lib/$(uname -m)-linux-gnu" "$@"
}
run_tool() { as_user crun --cgroup-manager=disabled "$@"; }
clean_up() {
	run_tool delete --force "$container" 2>/dev/null || true
	rm -rf "$folder"
}
trap clean_up EXIT
fail() {
	echo "image: $1" >&2
	cat "$folder/log" >&2 2>/dev/null || true
	exit 1
}

(cd "$(dirname "$image")" && sha256sum --quiet --check "$(basename "$image").sha256")
mkdir -p "$folder"/{layout,state,runtime}
tar -C "$folder/layout" -xf "$image"
chown -R $USER_ID:$USER_ID "$folder"
name=$(jq -r '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$folder/layout/index.json")
as_user umoci unpack --rootless --image "$folder/layout:$name" "$folder/bundle" >"$folder/log" 2>&1 || fail "it cannot be unpacked"
config=$folder/bundle/config.json
as_user cp "$config" "$folder/unpacked.json"
user=$(jq -r '.process.user | "\(.uid):\(.gid)"' "$config")
[[ $user != 0:* ]] || fail "the image runs as root"

# Podman's default profile, with the rules for a container of no capabilities on this processor.
jq --arg machine "$(dpkg --print-architecture)" '
	{defaultAction, defaultErrnoRet, syscalls: [.syscalls[]
		| select((.includes.caps // []) == [] and (.includes.arches // [$machine] | index($machine))
			and (.excludes.arches // [] | index($machine) | not))
		| {names, action, args: (.args // [])} + if .errnoRet then {errnoRet} else {} end]}
' "$tools/usr/share/containers/seccomp.json" >"$folder/profile.json"

# set_command WORD...: what the container runs instead of `serve`, with a root file system that cannot be written. One id
# of the container is mapped, that of the service, to the user's own; so there is no root in it.
set_command() {
	local words
	words=$(jq -nc '$ARGS.positional' --args -- "$@")
	jq --argjson words "$words" --slurpfile profile "$folder/profile.json" --arg state "$folder/state" --argjson user $USER_ID --arg listen "127.0.0.1:$PORT" '
		.process.user as {$uid, $gid}
		| .process.args = .process.args[:1] + $words
		| .process.env += ["BODYSCRIPT_LISTEN=" + $listen, "BODYSCRIPT_OPERATOR_LISTEN=off"]
		| .process.terminal = false | .process.capabilities = {} | .process.noNewPrivileges = true
		| .root.readonly = true | .linux.seccomp = $profile[0]
		| .linux.uidMappings = [{containerID: $uid, hostID: $user, size: 1}]
		| .linux.gidMappings = [{containerID: $gid, hostID: $user, size: 1}]
		| .mounts |= map(select(.destination != "/dev/pts" and .destination != "/var/lib/bodyscript"))
		| .mounts += [
			{destination: "/var/lib/bodyscript", type: "bind", source: $state, options: ["rbind", "rw"]},
			{destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"]}]
	' "$folder/unpacked.json" >"$config"
}

set_command doctor
run_tool run --bundle "$folder/bundle" "$container" || fail "doctor says that the service would not work"
set_command doctor --json
findings=$(run_tool run --bundle "$folder/bundle" "$container")
for finding in "${expected[@]}"; do
	jq -e --arg what "${finding%:*}" --arg state "${finding#*:}" \
		'any(.[]; .what == $what and .state == $state)' <<<"$findings" >/dev/null || fail "doctor does not say $finding"
done

set_command serve
run_tool run --detach --bundle "$folder/bundle" "$container" >"$folder/log" 2>&1 </dev/null || fail "it does not start"
url=http://127.0.0.1:$PORT
await() {
	for ((second = 0; second < WAIT_S_MAX; second++)); do
		if "${@:2}"; then return; fi
		sleep 1
	done
	fail "$1 did not come within $WAIT_S_MAX s"
}
is_ready() { curl -fsS -o /dev/null "$url/readyz" 2>/dev/null; }
await "readiness" is_ready
run_tool exec --user "$user" "$container" /usr/bin/bodyscript ctl status || fail "the health check fails"
id=$(curl -fsS -F "file=@$video" "$url/api/upload" | jq -r .job_id)
status() { curl -fsS "$url/api/status/$id" | jq -r .status; }
is_over() { [[ $(status) != @(pending|processing) ]]; }
await "the end of the job" is_over
[ "$(status)" = completed ] || fail "the job is $(status)"
rows=$(curl -fsS "$url/api/download/$id/csv" | wc -l)
[ "$rows" -gt 33 ] || fail "pose_data.csv has $rows lines"
run_tool kill "$container" TERM
is_stopped() { [ "$(run_tool state "$container" | jq -r .status)" = stopped ]; }
await "the stop" is_stopped
echo "image: an ordinary user ran it: a video became $rows lines of pose data, the health check and a stop work"
