#!/bin/sh
# split.sh DIR: raw.csv into operated.csv and cancelled.csv. A flight without a departure was cancelled.
set -eu
dir=$1
awk -F, -v dir="$dir" '
    NR == 1 { next }
    $5 == "NA" { print > (dir "/cancelled.csv.part"); c++; next }
    { print > (dir "/operated.csv.part"); o++ }
    END { print "split: " o + 0 " operated, " c + 0 " cancelled" }
' "$dir/raw.csv"
for name in operated cancelled; do
    [ -e "$dir/$name.csv.part" ] || : > "$dir/$name.csv.part"
    mv "$dir/$name.csv.part" "$dir/$name.csv"
done
