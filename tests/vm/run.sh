#!/usr/bin/env bash
# Boots the guest with the package and runs the scenarios of guest.sh in it.
# usage: run.sh IMAGE_DIR DEB PROGRAMS_DIR. KVM is not needed; under emulation it takes minutes.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
image=$1 deb=$2 programs=$3
seconds_max=${VM_SECONDS_MAX:-1500}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$here/image.sh" "$image"
mkdir "$work/in"
cp "$deb" "$work/in/bodyscript.deb"
cp "$here"/{guest,first_boot,second_boot}.sh "$here/../../systemd/bodyscript-operator.socket" "$work/in/"
# Stripped, because the guest's disk is small and its processor slow.
strip -o "$work/in/fault_worker" "$programs/fault_worker"
"$programs/mannequin" --seconds 1 --width 160 --height 120 "$work/in/walker.mp4"
tar -C "$work/in" -cf "$work/in.tar" .
truncate -s %512 "$work/in.tar"
cp --sparse=always "$image/root.img" "$work/root.img"

accelerator=(-accel tcg,thread=multi,tb-size=512)
[ -n "${VM_KVM:-}" ] && accelerator=(-accel kvm)
status=0
timeout "$seconds_max" qemu-system-x86_64 -M q35 "${accelerator[@]}" -cpu max -smp 2 -m 2048 \
	-display none -nodefaults -serial "file:$image/console.log" -monitor none \
	-kernel "$image/kernel" -initrd "$image/initrd" \
	-append "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off random.trust_cpu=on cryptomgr.notests tsc=reliable systemd.show_status=0" \
	-drive "if=none,id=root,file=$work/root.img,format=raw" -device virtio-blk-pci,drive=root \
	-drive "if=none,id=in,file=$work/in.tar,format=raw,readonly=on" -device virtio-blk-pci,drive=in \
	</dev/null || status=$?
grep -a '^vm: ' "$image/console.log" || true
if ! grep -aq '^vm: all scenarios passed' "$image/console.log"; then
	echo "vm: FAILED (qemu ended with $status); the end of $image/console.log:" >&2
	tail -40 "$image/console.log" >&2
	exit 1
fi
