#!/usr/bin/env bash
# Counts the skipped checks of a run of `make test`.
#   skips.sh skip NAME REASON   prints a skip and appends it to the list
#   skips.sh count              compares the list with skips.txt
# The list is the file named by SKIPPED_CHECKS, if it is set.
set -euo pipefail
allowed=$(dirname "$(realpath "$0")")/skips.txt

case $1 in
skip)
	echo "SKIPPED $2: $3" >&2
	[ -z "${SKIPPED_CHECKS:-}" ] || echo "$2: $3" >>"$SKIPPED_CHECKS"
	;;
count)
	counts=$(cut -d: -f1 "$SKIPPED_CHECKS" | sort | uniq -c)
	echo "skipped: $(wc -l <"$SKIPPED_CHECKS") checks"
	[ -z "$counts" ] || echo "$counts"
	status=0
	while read -r count name; do
		most=$(awk -v name="$name" '$1 == name { print $2 }' "$allowed")
		if [ "$count" -gt "${most:-0}" ]; then
			echo "skipped: $name $count times, where tests/skips.txt allows ${most:-none}" >&2
			status=1
		fi
	done < <(sed '/^$/d' <<<"$counts")
	exit $status
	;;
esac
