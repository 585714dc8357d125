# Scenarios up to the power failure, sourced by guest.sh. Each prints one line with its time.
# shellcheck shell=bash disable=SC2154

begin "install the package"
dpkg -i bodyscript.deb >/tmp/install.log 2>&1 || { cat /tmp/install.log; fail "dpkg"; }
# Loading the models takes half a second, but half a minute under emulation.
cat >/etc/bodyscript/bodyscript.toml <<-END
	cage_required = "v2"
	worker_start_s_max = 300
	worker_progress_s_max = 900
	worker_grace_ms_max = 10000
	worker_wall_s_max = 1200
	worker_cpu_s_max = 1200
	drain_s_max = 5
END
bodyscript config check
systemctl restart $unit
expect "$(show ActiveState)" active state
passed "$(show StatusText)"

begin "exposure of the unit"
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

begin "AppArmor confines the supervisor and its workers"
echo 'standby = 1' >>/etc/bodyscript/bodyscript.toml
systemctl reload $unit
await workers
for process in "$(show MainPID)" $(workers); do
	expect "$(confinement "$process")" "bodyscript (enforce)" "confinement of $(cat "/proc/$process/comm")"
done
sed -i '/^standby/d' /etc/bodyscript/bodyscript.toml
systemctl reload $unit
await no_workers
# The profile denies what users without it may do.
cp /etc/bodyscript/bodyscript.toml /root/settings.toml
bodyscript config check --config /root/settings.toml
! aa-exec -p bodyscript -- bodyscript config check --config /root/settings.toml 2>/dev/null ||
	fail "the profile allows reading any file"
denials | grep -q /root/settings.toml || fail "the kernel does not log what the profile denies"
expect "$(denials | grep -vc /root/settings.toml || true)" 0 "denials to the service: $(denials)"
passed

begin "workers have a lower share of processors than the supervisor"
groups=/sys/fs/cgroup/system.slice/$unit
expect "$(cat $groups/supervisor/cpu.weight)" 100 "the supervisor's weight"
expect "$(cat $groups/bodyscript-*/cpu.weight)" 25 "the weight of all workers"
passed "$(cat $groups/cgroup.subtree_control)"

begin "the operator listener, bound by the service or by systemd"
for path in /api/jobs /metrics /monitor; do
	expect "$(answer $base $path)" 403 "the public response to $path"
	expect "$(answer $operators $path)" 200 "the operators' response to $path"
done
systemctl stop $unit
cp bodyscript-operator.socket /etc/systemd/system/
systemctl daemon-reload
systemctl start bodyscript-operator.socket
expect "$(answer $operators /api/jobs)" 200 "the operators' response, which starts the service"
expect "$(answer $base /api/jobs)" 403 "the public response"
expect "$(bodyscript ctl --json status | jq -r .operator_listen)" 127.0.0.1:8001 "the address by ctl"
expect "$(journalctl -b -u $unit -o cat | grep -c 'for operators.*is_inherited.*true')" 1 "inherited sockets"
systemctl stop $unit bodyscript-operator.socket
# The starts of this scenario do not count towards the start limit.
systemctl reset-failed $unit
rm /etc/systemd/system/bodyscript-operator.socket
systemctl daemon-reload
systemctl start $unit
expect "$(answer $operators /api/jobs)" 200 "the operators' response, with the listener bound by the service again"
passed

begin "the kernel kills only the worker that is out of memory; another job finishes"
install -D -m 755 fault_worker /opt/fault_worker
echo '/opt/fault_worker mrix,' >/etc/apparmor.d/local/bodyscript
apparmor_parser -r /etc/apparmor.d/bodyscript
cat >>/etc/bodyscript/bodyscript.toml <<-END
	worker_program = "/opt/fault_worker"
	worker_memory_bytes_max = "64 MiB"
	worker_memory_retry_bytes_max = "96 MiB"
END
systemctl restart $unit
pid=$(show MainPID)
hold
other=$(upload "$(faulty other progress:1 held ok)")
await is_running "$other"
hog=$(upload "$(faulty hog family:200)")
await is_over "$hog"
expect "$(field "$hog" '[.attempts[].end] | join(" ")')" "oom oom" "ends of the job out of memory"
expect "$(field "$other" .status)" processing "the other job meanwhile"
release
await is_over "$other"
expect "$(field "$other" .status)" completed "the other job"
expect "$(show MainPID)" "$pid" "the supervisor"
await no_workers
expect "$(show OOMPolicy)" continue OOMPolicy
expect "$(show NRestarts)" 0 "restarts"
passed "$(journalctl -b -u $unit -o cat | grep -c 'end="oom"') kills, the same main process"

begin "a reload applies a valid configuration and refuses an invalid one"
pid=$(show MainPID)
config=/etc/bodyscript/bodyscript.toml
cp $config /tmp/good.toml
echo 'upload_bytes_max = "64 KiB"' >>$config
systemctl reload $unit
expect "$(code_of 100)" 413 "the response to 100 KiB"
echo 'workers = 0' >>$config
! systemctl reload $unit 2>/dev/null || fail "an invalid configuration was accepted"
expect "$(get /health | jq .reload_refused)" true reload_refused
expect "$(code_of 100)" 413 "the response to 100 KiB"
cp /tmp/good.toml $config
systemctl reload $unit
expect "$(get /health | jq .reload_refused)" false reload_refused
expect "$(code_of 100)" 202 "the response to 100 KiB"
expect "$(show MainPID)" "$pid" "the supervisor"
passed

begin "SIGUSR1 restarts the workers, their jobs continue"
occupy usr1
systemctl kill --kill-whom=main -s USR1 $unit
await has_tried "${jobs[0]}"
none_lost
expect "$(show MainPID)" "$pid" "the supervisor"
expect "$(field "${jobs[0]}" '.attempts[0].end')" operator "the end of the first attempt"
passed

begin "systemctl restart with jobs running"
occupy restart
systemctl restart $unit
none_lost
passed

begin "the watchdog restarts a stopped supervisor"
mkdir -p /run/systemd/system/$unit.d
printf '[Service]\nWatchdogSec=10s\n' >/run/systemd/system/$unit.d/test.conf
systemctl daemon-reload
systemctl restart $unit
occupy watchdog
pid=$(show MainPID)
kill -STOP "$pid"
await is_another
none_lost
passed "$(show NRestarts) restart"

begin "kill -9 of the supervisor"
occupy kill
pid=$(show MainPID)
kill -KILL "$pid"
await is_another
none_lost
await no_workers
passed

begin "an upgrade with jobs running"
occupy upgrade
pid=$(show MainPID)
dpkg -i bodyscript.deb >/tmp/install.log 2>&1 || { cat /tmp/install.log; fail "dpkg"; }
await is_another
none_lost
passed

begin "power failure"
occupy power
echo "${jobs[*]}" >$notes
sync $notes
echo "vm: $SECONDS s for the first boot; power failure with jobs running"
echo b >/proc/sysrq-trigger
sleep infinity
