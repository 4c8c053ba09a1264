#!/bin/sh
# aggregate.sh DIR FIELD NAME: clean.csv by its FIELD-th column, into by_NAME.csv:
# key,flights,delayed (over 15 minutes),sum of departure delays.
set -eu
dir=$1 field=$2 name=$3
awk -F, -v OFS=, -v field="$field" '
    { key = field == 0 ? $3 "-" $4 : $field; n[key]++; sum[key] += $6; if ($6 > 15) late[key]++ }
    END { for (key in n) print key, n[key], late[key] + 0, sum[key] }
' "$dir/clean.csv" | sort -t, -k2,2nr -k1,1 > "$dir/by_$name.csv.part"
mv "$dir/by_$name.csv.part" "$dir/by_$name.csv"
echo "aggregate: $(wc -l < "$dir/by_$name.csv" | tr -d ' ') of $name"
head -5 "$dir/by_$name.csv"
