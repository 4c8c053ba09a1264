#!/bin/sh
# reconcile.sh DIR: the sums by carrier, origin, hour and route are the same.
set -eu
dir=$1
for name in carrier origin hour route; do
    awk -F, -v OFS=, -v name="$name" '{ n += $2; d += $3; s += $4 } END { print n, d, s }' "$dir/by_$name.csv"
done | sort -u > "$dir/sums"
echo "reconcile: flights,delayed,delay = $(cat "$dir/sums")"
[ "$(wc -l < "$dir/sums" | tr -d ' ')" -eq 1 ]
