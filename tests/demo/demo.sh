#!/usr/bin/env bash
# Starts the service, uploads the sample, shows its progress, fetches everything, and leaves the service running
# until Ctrl-C where someone can press it. Called by `make demo` with the folder of the programs, the addresses of
# the public listener and of the operators' listener, and the folder for results.
set -euo pipefail
programs=$1 listen=$2 operators=$3 out=$4
base="http://$listen"
sample=$(dirname "$0")/walking.mp4

for address in "$listen" "$operators"; do
	if (exec 3<>"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null; then
		echo "demo: $address is in use, perhaps by another \`make demo\`; stop that first" >&2
		exit 1
	fi
done

mkdir -p "$out"
rm -rf "${out:?}"/*

echo "demo: starting the service on $base"
"$programs/bodyscript" serve --listen "$listen" --operator-listen "$operators" \
	--state-dir "$out/state" >"$out/service.log" 2>&1 &
service=$!
stop() {
	trap '' INT TERM
	kill -TERM "$service" 2>/dev/null || true
	wait "$service" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 0' INT TERM
until curl --silent --fail --output /dev/null "$base/readyz"; do
	if ! kill -0 "$service" 2>/dev/null; then
		echo "demo: the service failed to start; its log:" >&2
		cat "$out/service.log" >&2
		exit 1
	fi
	sleep 0.5
done

field() { sed -nE "s/.*\"$1\":\"?([^\",}]*)\"?[,}].*/\1/p" <<<"$2" | head -1; }

accepted=$(curl --silent --show-error --fail-with-body --form "file=@$sample" "$base/api/upload")
id=$(field job_id "$accepted")
echo "demo: accepted as job $id"
state=pending
while [ "$state" = pending ] || [ "$state" = processing ]; do
	sleep 0.5
	status=$(curl --silent --show-error --fail "$base/api/status/$id")
	state=$(field status "$status")
	total=$(field total_frames "$status")
	printf 'demo: %-10s %3s %%  frame %s of %s\n' "$state" "$(field progress "$status")" \
		"$(field current_frame "$status")" "${total/#null/?}"
done
if [ "$state" != completed ]; then
	echo "demo: the job ended as $state: $(field error "$status")" >&2
	exit 1
fi

mkdir "$out/results"
for name in output.mp4 pose_data.csv pose_data.json thumbnail.jpg preview.mp4 metadata.json; do
	curl --silent --show-error --fail --output "$out/results/$name" "$base/api/serve/$id/$name"
done
echo "demo: $(($(wc -l <"$out/results/pose_data.csv") - 1)) rows of pose data; all results are in $out/results:"
ls -l "$out/results" | tail -n +2 | awk '{printf "    %9d  %s\n", $5, $9}'

if [ -t 0 ] && [ -t 1 ]; then
	echo "demo: the service is running; open $base/ to upload a video of your own, http://$operators/monitor to watch it"
	echo "demo: $programs/bodyscript ctl status --state-dir $out/state shows its state; press Ctrl-C here to stop it"
	wait "$service"
else
	echo "demo: done, the service is stopped; without a terminal it does not stay. To start it again:"
	echo "    $programs/bodyscript serve --listen $listen --operator-listen $operators --state-dir $out/state"
	echo "demo: then open $base/ (Ctrl-C stops it)"
fi
