#!/usr/bin/env bash
# Builds the Debian package with Debian's own tools from what is compiled already. The same files give the same package,
# byte for byte.
# usage: package.sh PROGRAMS_DIR MANUAL_DIR OUT_DIR; called by `make package`.
set -euo pipefail
umask 022
export LC_ALL=C
programs=$(realpath "$1") manual=$(realpath "$2")
mkdir -p "$3"
out=$(realpath "$3")
cd "$(dirname "$0")/../.."
debian=$PWD/supervisor/debian
version=$(dpkg-parsechangelog -l "$debian/changelog" -S Version)
architecture=$(dpkg --print-architecture)
name=bodyscript_${version}_$architecture
# No file of the package is younger.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-parsechangelog -l "$debian/changelog" -S Timestamp)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/debian/bodyscript
# put MODE FILE... FOLDER: copies files into a folder of the package.
put() { install -D -m "$1" -t "$root/${*: -1}" "${@:2:$#-2}"; }
# put_as MODE FILE PATH: copies a file to a path of the package.
put_as() { install -D -m "$1" "$2" "$root/$3"; }

put 755 "$programs/bodyscript" usr/bin
put 755 "$programs/bodyscript-worker" usr/lib/bodyscript
strip "$root/usr/bin/bodyscript" "$root/usr/lib/bodyscript/bodyscript-worker"
put 644 "$programs"/{libavfilter.so.8,libavformat.so.59,libbodyscript-codecs.so} usr/lib/bodyscript
put 644 models/{pose_detection,pose_landmark_full,pose_landmark_lite}.{onnx,packed} models/{MANIFEST.toml,NOTICE} usr/share/bodyscript/models
put 644 systemd/bodyscript.toml etc/bodyscript
put 644 systemd/bodyscript.{service,socket} lib/systemd/system
put 644 systemd/apparmor/bodyscript etc/apparmor.d
put_as 644 systemd/bodyscript.sysusers usr/lib/sysusers.d/bodyscript.conf
put_as 644 systemd/bodyscript.tmpfiles usr/lib/tmpfiles.d/bodyscript.conf
put 644 systemd/bodyscript.service.d/*.conf systemd/bodyscript-operator.socket systemd/bodyscript.container usr/share/doc/bodyscript/examples
put 644 docs/*.md "$debian/copyright" usr/share/doc/bodyscript
put 644 docs/proxies/* usr/share/doc/bodyscript/proxies
put 644 docs/monitoring/* usr/share/doc/bodyscript/monitoring
put_as 644 "$debian/changelog" usr/share/doc/bodyscript/changelog.Debian
put 644 "$manual"/*.1 usr/share/man/man1
put_as 644 "$manual/bodyscript.bash" usr/share/bash-completion/completions/bodyscript
put 644 "$manual/_bodyscript" usr/share/zsh/vendor-completions
put 644 "$manual/bodyscript.fish" usr/share/fish/vendor_completions.d
gzip -9n "$root"/usr/share/man/man1/*.1 "$root/usr/share/doc/bodyscript/changelog.Debian"

# What the programs are linked against. The plug-ins are loaded at run time; which file needs which
# package is shown by `bodyscript doctor`.
printf 'Source: bodyscript\n\nPackage: bodyscript\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O debian/bodyscript/usr/bin/bodyscript \
	debian/bodyscript/usr/lib/bodyscript/bodyscript-worker | sed -n 's/^shlibs:Depends=//p')
plugins="gstreamer1.0-plugins-base, gstreamer1.0-plugins-good, gstreamer1.0-plugins-bad,
 gstreamer1.0-plugins-ugly, gstreamer1.0-libav"

# Only a release has lists of components beside its programs.
if [ -e "$programs/bodyscript.cdx.json" ]; then
	"$debian/sbom.py" "$version" "$libraries, $plugins" "$programs"/bodyscript{,-worker}.cdx.json >"$out/$name.cdx.json"
	put_as 644 "$out/$name.cdx.json" usr/share/doc/bodyscript/bodyscript.cdx.json
fi

mkdir "$root/DEBIAN"
install -m 755 "$debian"/{postinst,postrm,prerm} "$root/DEBIAN/"
printf '%s\n' /etc/apparmor.d/bodyscript /etc/bodyscript/bodyscript.toml >"$root/DEBIAN/conffiles"
# Files in KiB, as Debian counts them; the size of a folder depends on the file system.
size=$(find "$root" -type f -printf '%s\n' | awk '{ kib += int(($1 + 1023) / 1024) } END { print kib }')
cat >"$root/DEBIAN/control" <<END
Package: bodyscript
Version: $version
Architecture: $architecture
Section: video
Priority: optional
Maintainer: BodyScript maintainers <maintainers@bodyscript.dev>
Installed-Size: $size
Depends: $libraries, systemd | systemd-standalone-sysusers, init-system-helpers (>= 1.52),
 $plugins
Recommends: ca-certificates
Description: human pose estimation for short videos, over HTTP
 BodyScript takes short videos over HTTP and gives back the human pose in them:
 33 landmarks a frame as CSV and JSON, a video with the skeleton drawn in, a
 thumbnail and a preview. Each video is read by a process of its own, in a
 sandbox and with a cap on its memory, so that a bad video ends one job and
 nothing else.
END
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
dpkg-deb --root-owner-group --build "$root" "$out/$name.deb" >/dev/null
