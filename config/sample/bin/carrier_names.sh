#!/bin/sh
# carrier_names.sh DIR: by_carrier.csv with the names that another interface loaded, into carriers.csv.
set -eu
dir=$1
awk -F, -v OFS=, '
    NR == FNR { name[$1] = $2; next }
    { print $1, ($1 in name ? name[$1] : "?"), $2, $3, $4 }
' "$dir/airlines.csv" "$dir/by_carrier.csv" > "$dir/carriers.csv.part"
mv "$dir/carriers.csv.part" "$dir/carriers.csv"
cat "$dir/carriers.csv"
