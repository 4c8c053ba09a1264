#!/bin/sh
# normalise.sh DIR: operated.csv into clean.csv:
# carrier,flight,origin,dest,hour,dep_delay,arr_delay,distance; an unknown arrival delay is empty.
set -eu
dir=$1
awk -F, -v OFS=, '
    { print $8, $9, $11, $12, int($4 / 100), $6, ($7 == "NA" ? "" : $7), $14 }
' "$dir/operated.csv" > "$dir/clean.csv.part"
mv "$dir/clean.csv.part" "$dir/clean.csv"
echo "normalise: $(wc -l < "$dir/clean.csv" | tr -d ' ') lines"
