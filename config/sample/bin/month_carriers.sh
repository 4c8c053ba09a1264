#!/bin/sh
# month_carriers.sh WORK DIR: the carriers of all days of the month together, into DIR/carriers.csv:
# code,name,flights,delayed,sum of departure delays.
set -eu
work=$1 dir=$2
mkdir -p "$dir"
awk -F, -v OFS=, '
    { name[$1] = $2; n[$1] += $3; late[$1] += $4; sum[$1] += $5 }
    END { for (code in n) print code, name[code], n[code], late[code], sum[code] }
' "$work/$HCNDC_PERIOD"-[0-9][0-9]/carriers.csv | sort -t, -k3,3nr -k1,1 > "$dir/carriers.csv.part"
mv "$dir/carriers.csv.part" "$dir/carriers.csv"
echo "carriers: $(wc -l < "$dir/carriers.csv" | tr -d ' ') in $HCNDC_PERIOD"
head -5 "$dir/carriers.csv"
