#!/bin/sh
# quality.sh DIR: nothing got lost between raw, clean and cancelled.
set -eu
dir=$1
lines() { wc -l < "$1" | tr -d ' '; }
raw=$(($(lines "$dir/raw.csv") - 1)) clean=$(lines "$dir/clean.csv") cancelled=$(lines "$dir/cancelled.csv")
echo "quality: $raw raw = $clean clean + $cancelled cancelled"
[ "$raw" -eq $((clean + cancelled)) ]
