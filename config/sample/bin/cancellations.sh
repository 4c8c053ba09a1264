#!/bin/sh
# cancellations.sh DIR: how many flights each airport cancelled, into cancelled_by_origin.csv.
set -eu
dir=$1
awk -F, -v OFS=, '
    BEGIN { n["EWR"]; n["JFK"]; n["LGA"] }
    { n[$11]++ }
    END { for (origin in n) print origin, n[origin] + 0 }
' "$dir/cancelled.csv" | sort > "$dir/cancelled_by_origin.csv"
cat "$dir/cancelled_by_origin.csv"
