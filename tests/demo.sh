#!/usr/bin/env bash
# A whole visit to the service: start it, upload a rendered walker, watch it, fetch everything.
# Called by `make demo` with the folder of the programs, the addresses to listen on, for everybody and for
# operators, and the folder for results.
set -euo pipefail
programs=$1 listen=$2 operators=$3 out=$4
base="http://$listen"

mkdir -p "$out"
rm -rf "${out:?}"/*
echo "demo: rendering a walking mannequin, 5 s of 640x480 H.264"
"$programs/mannequin" --seconds 5 "$out/sample.mp4"

echo "demo: starting the service on $base, monitor on http://$operators/monitor"
"$programs/bodyscript" serve --listen "$listen" --operator-listen "$operators" \
	--state-dir "$out/state" >"$out/service.log" 2>&1 &
service=$!
stop() {
	kill -TERM "$service" 2>/dev/null || true
	wait "$service" 2>/dev/null || true
}
trap stop EXIT
curl --silent --fail --retry 50 --retry-connrefused --retry-delay 1 --output /dev/null "$base/readyz" || {
	echo "demo: the service failed to start; its log:" >&2
	cat "$out/service.log" >&2
	exit 1
}

field() { sed -nE "s/.*\"$1\":\"?([^\",}]*)\"?[,}].*/\1/p" <<<"$2" | head -1; }

accepted=$(curl --silent --show-error --fail-with-body --form "file=@$out/sample.mp4" "$base/api/upload")
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
echo "demo: to keep the service running: $programs/bodyscript serve, then open $base/ and http://$operators/monitor"
