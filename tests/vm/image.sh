#!/usr/bin/env bash
# Builds the guest: Debian 12 with systemd, the package's dependencies and what the scenarios use.
# usage: image.sh DIR; creates kernel, initrd and root.img there unless they exist and their sources
# are unchanged. Needs root, mmdebstrap, mke2fs, cpio.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
mkdir -p "$1"
out=$(realpath "$1")
suite=bookworm
packages=(systemd systemd-sysv dbus libnss-systemd kmod procps util-linux init-system-helpers apparmor
	curl jq gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
	gstreamer1.0-plugins-ugly gstreamer1.0-libav)
# Needed to mount the root file system, in the order in which they need each other.
boot_modules=(virtio_pci virtio_blk ext4)

key=$(cat "$here/image.sh" "$here/init.c" "$here/guest.service" | sha256sum)
if [ "$(cat "$out/key" 2>/dev/null)" = "$key" ]; then
	exit 0
fi
echo "vm: building the guest in $out (once)"
rm -rf "$out"/{key,root,kernel.d,initrd.d}
mkdir -p "$out"/{kernel.d,initrd.d}

# The archive from which this host gets its own packages.
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Created-By: Packages' | head -1)
[ -n "$mirror" ] || { echo "vm: apt knows no archive of Debian $suite; run apt-get update" >&2; exit 1; }

# Base system and plug-ins; documentation and translations would double the size.
mmdebstrap --quiet --mode=root --variant=essential --format=directory \
	--include="$(IFS=,; echo "${packages[*]}")" \
	--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	"$suite" "$out/root" "$mirror"

# The kernel is extracted from its package: installing it would build an initrd that is not used.
image=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
(cd "$out/kernel.d" && apt-get download -qq "$image" && dpkg-deb -x ./*.deb .)
release=$(ls "$out/kernel.d/lib/modules")
modules=$out/kernel.d/lib/modules/$release
cp "$out/kernel.d/boot/vmlinuz-$release" "$out/kernel"
depmod -b "$out/kernel.d" "$release"

# The initial file system: init and the modules in the order of their dependencies.
gcc -O1 -static -o "$out/initrd.d/init" "$here/init.c"
list=()
for name in "${boot_modules[@]}"; do
	while read -r action path _; do
		[ "$action" = insmod ] || continue
		case " ${list[*]} " in *" /$(basename "$path") "*) continue ;; esac
		cp "$path" "$out/initrd.d/"
		list+=("/$(basename "$path")")
	done < <(modprobe -d "$out/kernel.d" -S "$release" --show-depends "$name")
done
printf '%s\n' "${list[@]}" >"$out/initrd.d/modules"
(cd "$out/initrd.d" && find . | cpio --quiet -o -H newc -R 0:0) >"$out/initrd"

# Without units that ask questions or wait for a network.
root=$out/root
mkdir -p "$root/usr/lib/modules/$release"
cp -r "$modules"/{modules.*,kernel} "$root/usr/lib/modules/$release/"
install -m 644 "$here/guest.service" "$root/etc/systemd/system/"
ln -s ../guest.service "$root/etc/systemd/system/multi-user.target.wants/"
for unit in getty.target serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer \
	dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	systemd-timesyncd.service systemd-firstboot.service systemd-networkd-wait-online.service; do
	ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
echo vm >"$root/etc/hostname"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
: >"$root/etc/fstab"
mkdir -p "$root/var/log/journal"

rm -f "$out/root.img"
truncate -s 3G "$out/root.img"
mke2fs -q -t ext4 -m 0 -E lazy_itable_init=1 -d "$root" "$out/root.img"
rm -rf "$root" "$out"/{kernel.d,initrd.d}
echo "$key" >"$out/key"
du -sm "$out"/{kernel,initrd,root.img} | awk '{ printf "vm: %5d MiB %s\n", $1, $2 }'
