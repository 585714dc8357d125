#!/usr/bin/env bash
# Run as root in the guest by guest.service at each boot: functions of the scenarios, then the scenarios of
# this boot. The first boot ends with a power failure, the second starts from its disk.
set -Eeuo pipefail
cd "$(dirname "$0")"
base=http://127.0.0.1:8000
operators=http://127.0.0.1:8001
unit=bodyscript.service
notes=/var/tmp/scenarios
trap 'systemctl --no-block poweroff' EXIT
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

begin() { scenario=$1 began=$SECONDS; }
passed() { echo "vm: $((SECONDS - began)) s  $scenario${1:+: $1}"; }
fail() {
	echo "vm: FAILED in '$scenario': $*"
	systemctl --no-pager status $unit || true
	denials | tail -20
	journalctl --no-pager -b -u $unit -n 2000 -o cat | grep -v touched | tail -60 || true
	exit 1
}
# Waits until a command succeeds. Everything is slow under emulation.
await() {
	local left=600
	until "$@" >/dev/null 2>&1; do
		((left -= 1)) || fail "timed out waiting: $*"
		sleep 0.2
	done
}
show() { systemctl show -P "$1" $unit; }
get() { curl -sSf --max-time 120 "$base$1"; }
# The status of a response: an address and a path.
answer() { curl -sS --max-time 120 -o /dev/null -w '%{http_code}' "$1$2"; }
upload() { curl -sS --max-time 120 -F interval=15 -F "file=@$1;filename=clip.mp4" $base/api/upload | jq -er .job_id; }
field() { get "/api/status/$1" | jq -r "$2"; }
is_over() { [ "$(field "$1" .completed_at)" != null ]; }
has_tried() { [ "$(field "$1" '.attempts | length')" -gt 0 ]; }
is_running() { [ "$(field "$1" .status)" = processing ]; }
# A video for the fault worker: a name, which makes its content unique, and the words to execute.
faulty() {
	printf '%s\nFAULT %s\n' "$1" "${*:2}" >"/tmp/$1.mp4"
	echo "/tmp/$1.mp4"
}
expect() { [ "$1" = "$2" ] || fail "$3 is '$1', not '$2'"; }
is_another() { [ "$(show MainPID)" != "$pid" ] && [ "$(show MainPID)" != 0 ] && [ "$(show ActiveState)" = active ]; }
# While held, jobs with the word `held` keep running.
hold() { touch /run/held; }
release() { rm -f /run/held; }
# Two running jobs and one in the queue, with names that begin with the argument; their ids are in `jobs`.
# They stay so until `release`.
occupy() {
	local n
	hold
	jobs=()
	for n in 1 2 3; do
		jobs+=("$(upload "$(faulty "$1$n" progress:1 held ok)")")
	done
	await is_running "${jobs[0]}"
	await is_running "${jobs[1]}"
}
# Every job of `jobs` completes after `release`, without a failed attempt.
none_lost() {
	local id
	release
	for id in "${jobs[@]}"; do
		await is_over "$id"
		expect "$(field "$id" .status)" completed "the status of a job: $(field "$id" '[.error, .attempts]')"
		expect "$(field "$id" '[.attempts[].end] - ["operator", "shutdown", "done"] | length')" 0 \
			"failed attempts of a job: $(field "$id" .attempts)"
	done
}
# The status of the response to an upload of this many KiB.
code_of() {
	{ echo "FAULT ok"; head -c $(($1 * 1024)) /dev/zero; } >/tmp/sized.mp4
	curl -sS --max-time 120 -o /dev/null -w '%{http_code}' -F "file=@/tmp/sized.mp4" $base/api/upload
}
# What AppArmor denied the service in this boot.
denials() { journalctl --no-pager -b -k -o cat | grep 'apparmor="DENIED".*profile="bodyscript"' || true; }
confinement() { tr -d '\0' <"/proc/$1/attr/current"; }
workers() { pgrep -f '^bodyscript-worker'; }
no_workers() { ! pgrep -f 'fault_worker|bodyscript-worker' >/dev/null; }

boot=first_boot.sh
[ ! -e $notes ] || boot=second_boot.sh
# shellcheck source=/dev/null
source ./$boot
