#!/bin/sh
# month_report.sh DIR REPORTS: what a person reads of the month, into REPORTS/YYYY-MM.txt, in one step.
# That both sums are the same whichever way they are made is tried first.
set -eu
dir=$1 reports=$2
by_day=$(awk -F, '{ n += $2; late += $3; sum += $4 } END { print n, late, sum }' "$dir/days.csv")
by_carrier=$(awk -F, '{ n += $3; late += $4; sum += $5 } END { print n, late, sum }' "$dir/carriers.csv")
[ "$by_day" = "$by_carrier" ] || { echo "month_report: $by_day by day, $by_carrier by carrier" >&2; exit 1; }
mkdir -p "$reports"
{
    echo "Flights out of New York, month $HCNDC_PERIOD (data: January 2013, day by day)"
    echo
    awk -F, '
        { n += $2; late += $3; sum += $4; if (NR == 1 || $3 / $2 > worst) { worst = $3 / $2; day = $1 } }
        END {
            printf "days %d, operated %d, more than 15 minutes late %d\n", NR, n, late
            printf "mean departure delay %.1f minutes, worst day %s: %.0f%% late\n\n", sum / n, day, 100 * worst
        }
    ' "$dir/days.csv"
    echo "carrier                      flights  late  mean delay"
    awk -F, '{ printf "%-27s  %7d %5d  %10.1f\n", $2, $3, $4, $5 / $3 }' "$dir/carriers.csv"
} > "$reports/.$HCNDC_PERIOD.part"
mv "$reports/.$HCNDC_PERIOD.part" "$reports/$HCNDC_PERIOD.txt"
cat "$reports/$HCNDC_PERIOD.txt"
