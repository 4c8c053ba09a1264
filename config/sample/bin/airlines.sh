#!/bin/sh
# airlines.sh SOURCE DIR: the names of the carriers, one "code,name" a line, into DIR/airlines.csv.
set -eu
source=$1 dir=$2
mkdir -p "$dir"
awk -F, 'NR > 1 && NF == 2 { print }' "$source" > "$dir/airlines.csv.part"
mv "$dir/airlines.csv.part" "$dir/airlines.csv"
echo "airlines: $(wc -l < "$dir/airlines.csv" | tr -d ' ') carriers"
