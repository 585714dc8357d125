#!/usr/bin/env bash
# The scenarios, run as root in the guest by guest.service. Each prints one line with its time.
set -Eeuo pipefail
cd "$(dirname "$0")"
base=http://127.0.0.1:8000
unit=bodyscript.service
trap 'systemctl --no-block poweroff' EXIT
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

begin() { scenario=$1 began=$SECONDS; }
passed() { echo "vm: $((SECONDS - began)) s  $scenario${1:+: $1}"; }
fail() {
	echo "vm: FAILED in '$scenario': $*"
	systemctl --no-pager status $unit || true
	journalctl --no-pager -b -u $unit -n 40 -o cat || true
	exit 1
}
# Waits until a command succeeds. Everything is slow under emulation.
await() {
	local left=600
	until "$@" >/dev/null 2>&1; do
		((left -= 1)) || fail "waited in vain for: $*"
		sleep 0.2
	done
}
show() { systemctl show -P "$1" $unit; }
get() { curl -sSf --max-time 120 "$base$1"; }
upload() { curl -sS --max-time 120 -F interval=10 -F "file=@$1;filename=clip.mp4" $base/api/upload | jq -er .job_id; }
field() { get "/api/status/$1" | jq -r "$2"; }
is_over() { [ "$(field "$1" .completed_at)" != null ]; }
is_running() { [ "$(field "$1" .status)" = processing ]; }
faulty() { echo "FAULT $*" >"/tmp/$1.mp4" && echo "/tmp/$1.mp4"; }
expect() { [ "$1" = "$2" ] || fail "$3 is '$1', not '$2'"; }

begin "install the package"
dpkg -i bodyscript.deb >/tmp/install.log 2>&1 || { cat /tmp/install.log; fail "dpkg"; }
mkdir -p /etc/systemd/system/$unit.d
# Emulation makes half a second of loading models half a minute.
cat >/etc/bodyscript/bodyscript.toml <<-END
	cage_required = "v2"
	worker_start_s_max = 300
	worker_progress_s_max = 300
	worker_wall_s_max = 1200
	worker_cpu_s_max = 1200
	drain_s_max = 5
END
bodyscript config check
systemctl restart $unit
expect "$(show ActiveState)" active state
passed "$(show StatusText)"

begin "what the unit allows"
systemd-analyze --no-pager security $unit | tail -1
passed "$(systemd-analyze --no-pager security $unit | grep -o 'level for.*' | cut -d: -f2)"

begin "the first connection starts the service, and a real video is processed"
systemctl stop $unit
expect "$(show ActiveState)" inactive state
real=$(upload walker.mp4)
expect "$(show ActiveState)" active state
await is_over "$real"
expect "$(field "$real" .status)" completed "status: $(field "$real" .error)"
layers=$(field "$real" '[.posture[] | select(.state == "active") | .layer] | join(" ")')
passed "$(field "$real" .statistics.frames_processed) frames; sandbox: $layers; peak $(field "$real" '.attempts[0].peak_bytes')"

begin "a worker out of memory dies alone by the kernel, its neighbour finishes"
install -D -m 755 fault_worker /opt/fault_worker
cat >>/etc/bodyscript/bodyscript.toml <<-END
	worker_program = "/opt/fault_worker"
	worker_memory_bytes_max = "64 MiB"
	worker_memory_retry_bytes_max = "96 MiB"
END
systemctl restart $unit
pid=$(show MainPID)
neighbour=$(upload "$(faulty neighbour progress:1 sleep:8000 ok)")
await is_running "$neighbour"
hog=$(upload "$(faulty hog family:200)")
await is_over "$hog"
expect "$(field "$hog" '[.attempts[].end] | join(" ")')" "oom oom" "ends of the hog"
await is_over "$neighbour"
expect "$(field "$neighbour" .status)" completed "the neighbour"
expect "$(show MainPID)" "$pid" "the supervisor"
expect "$(pgrep -c fault_worker || true)" 0 "workers left over (memory.oom.group)"
passed "$(journalctl -b -u $unit -o cat | grep -c 'end="oom"') kills"

begin "the watchdog restarts a stopped supervisor"
pid=$(show MainPID)
mkdir -p /run/systemd/system/$unit.d
printf '[Service]\nWatchdogSec=10s\n' >/run/systemd/system/$unit.d/test.conf
systemctl daemon-reload
systemctl restart $unit
pid=$(show MainPID)
kill -STOP "$pid"
is_another() { [ "$(show MainPID)" != "$pid" ] && [ "$(show ActiveState)" = active ]; }
await is_another
passed "$(show NRestarts) restart"

begin "kill -9 of the supervisor leaves no worker and comes back"
slow=$(upload "$(faulty slow progress:1 sleep:2000 ok)")
await is_running "$slow"
pid=$(show MainPID)
kill -KILL "$pid"
await is_another
await get /readyz
passed

begin "purge leaves nothing"
dpkg -P bodyscript >/tmp/purge.log 2>&1 || { cat /tmp/purge.log; fail "dpkg -P"; }
for path in /var/lib/bodyscript /etc/bodyscript /usr/lib/bodyscript /usr/bin/bodyscript; do
	[ ! -e $path ] || fail "$path is left"
done
expect "$(pgrep -c bodyscript || true)" 0 "processes left"
passed

echo "vm: all scenarios passed in $SECONDS s"
