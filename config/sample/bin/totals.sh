#!/bin/sh
# totals.sh DIR: the day in one line, into totals.csv: flights,operated,cancelled,delayed,sum of delays.
set -eu
dir=$1
cancelled=$(wc -l < "$dir/cancelled.csv" | tr -d ' ')
awk -F, -v OFS=, -v c="$cancelled" '
    { n += $2; d += $3; s += $4 } END { print n + c, n, c, d, s }
' "$dir/by_origin.csv" > "$dir/totals.csv"
cat "$dir/totals.csv"
