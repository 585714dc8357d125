# Scenarios after the power failure, sourced by guest.sh.
# shellcheck shell=bash disable=SC2154

begin "the boot after a power failure"
read -ra jobs <$notes
expect "$(systemctl is-enabled $unit)" enabled "the unit"
await get /readyz
none_lost
await no_workers
passed

begin "remove and purge leave nothing"
dpkg -r bodyscript >/tmp/remove.log 2>&1 || { cat /tmp/remove.log; fail "dpkg -r"; }
[ -e /etc/bodyscript/bodyscript.toml ] || fail "removing the package deleted the configuration"
dpkg -P bodyscript >/tmp/purge.log 2>&1 || { cat /tmp/purge.log; fail "dpkg -P"; }
for path in /var/lib/bodyscript /etc/bodyscript /usr/lib/bodyscript /usr/bin/bodyscript; do
	[ ! -e $path ] || fail "$path is left"
done
expect "$(pgrep -c bodyscript || true)" 0 "processes left"
passed
echo "vm: all scenarios passed"
