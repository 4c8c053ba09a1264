#!/bin/sh
# month_days.sh WORK DIR: the days of the month by themselves, out of WORK/YYYY-MM-DD, into DIR/days.csv:
# date,operated flights,more than 15 minutes late,sum of departure delays. Fails if a day is not there.
set -eu
work=$1 dir=$2
mkdir -p "$dir"
for day in "$work/$HCNDC_PERIOD"-[0-9][0-9]; do
    awk -F, -v OFS=, -v day="${day##*/}" '
        { n += $2; late += $3; sum += $4 } END { print day, n + 0, late + 0, sum + 0 }
    ' "$day/by_origin.csv"
done > "$dir/days.csv.part"
awk -F, -v month="$HCNDC_PERIOD" '
    END {
        split("31 28 31 30 31 30 31 31 30 31 30 31", length_of, " ")
        year = substr(month, 1, 4) + 0
        all = length_of[substr(month, 6) + 0]
        if (substr(month, 6) == "02" && (year % 4 == 0 && year % 100 != 0 || year % 400 == 0)) all++
        print "days: " NR " of the " all " days of " month
        exit NR != all
    }
' "$dir/days.csv.part"
mv "$dir/days.csv.part" "$dir/days.csv"
