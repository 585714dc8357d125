#!/usr/bin/env bash
# Builds a container image from the Debian package and its dependencies, without a base image and without a registry but
# Debian's archive. The same packages give the same image, byte for byte.
# usage: image.sh PACKAGE.deb OUT_DIR; called by `make image`. Needs root and mmdebstrap.
set -euo pipefail
umask 022
export LC_ALL=C
package=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
here=$(dirname "$(realpath "$0")")
suite=bookworm
# The package's dependencies, but for init systems, which have nothing to start here.
packages=(systemd-standalone-sysusers init-system-helpers ca-certificates
	gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
	gstreamer1.0-libav)
# Files of those that no worker maps: drivers of graphics cards, with their compiler.
unused=('/usr/lib/*/dri/*' '/usr/lib/*/libLLVM-*' '/usr/lib/*/libz3.so.*')
# A number, which orchestrators can tell from root, and which volumes keep over versions.
user_id=64100
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-parsechangelog -l "$here/../debian/changelog" -S Timestamp)}

# The archive from which this host gets its own packages.
mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Created-By: Packages' | head -1)
[ -n "$mirror" ] || { echo "image: apt knows no archive of Debian $suite; run apt-get update" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$package" "$work/bodyscript.deb"
echo "u bodyscript $user_id \"BodyScript\" /var/lib/bodyscript -" >"$work/bodyscript.conf"

mmdebstrap --quiet --mode=root --variant=essential --format=tar \
	--include="$(IFS=,; echo "${packages[*]}")" \
	--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
	"${unused[@]/#/--dpkgopt=path-exclude=}" \
	--customize-hook='mkdir -p "$1/etc/sysusers.d"' \
	--customize-hook="copy-in $work/bodyscript.conf /etc/sysusers.d" \
	--customize-hook="copy-in $work/bodyscript.deb /tmp" \
	--customize-hook='chroot "$1" dpkg --install /tmp/bodyscript.deb >/dev/null' \
	--customize-hook='install -d -m 700 -o '$user_id' -g '$user_id' "$1/var/lib/bodyscript"' \
	--skip=cleanup/apt \
	--customize-hook='cd "${1:?}" && rm -rf tmp/bodyscript.deb etc/apt/sources.list etc/hostname etc/resolv.conf \
		var/lib/apt/lists/* var/cache/apt/* var/cache/ldconfig/aux-cache var/log/apt var/log/*.log' \
	"$suite" "$work/root.tar" "$mirror"

version=$(dpkg-deb --field "$package" Version)
"$here/layout.py" "$work/root.tar" "$version" "$(dpkg-deb --field "$package" Architecture)" $user_id "$out/bodyscript.oci.tar"
(cd "$out" && sha256sum bodyscript.oci.tar >bodyscript.oci.tar.sha256)
awk -v packed="$(stat -c %s "$out/bodyscript.oci.tar")" -v root="$(stat -c %s "$work/root.tar")" -v name="$out/bodyscript.oci.tar" \
	'BEGIN { printf "image: %s, %.0f MiB, %.0f MiB unpacked\n", name, packed / 1048576, root / 1048576 }'
