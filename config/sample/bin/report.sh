#!/bin/sh
# report.sh DIR: what a person reads, into report.txt.
set -eu
dir=$1
{
    echo "Flights out of New York, period $HCNDC_PERIOD (data: January ${HCNDC_PERIOD#*-*-}, 2013)"
    echo
    awk -F, '{
        printf "flights %d, operated %d, cancelled %d, more than 15 minutes late %d\n", $1, $2, $3, $4
        printf "mean departure delay %.1f minutes\n\n", $5 / $2
    }' "$dir/totals.csv"
    echo "airport   flights  late  mean delay"
    awk -F, '{ printf "%-8s  %7d %5d  %10.1f\n", $1, $2, $3, $4 / $2 }' "$dir/by_origin.csv"
    echo
    echo "carrier                      flights  late  mean delay"
    awk -F, '{ printf "%-27s  %7d %5d  %10.1f\n", $2, $3, $4, $5 / $3 }' "$dir/carriers.csv"
    echo
    echo "routes with most late flights"
    sort -t, -k3,3nr -k1,1 "$dir/by_route.csv" | awk -F, 'NR <= 5 { printf "%-8s  %d of %d\n", $1, $3, $2 }'
} > "$dir/report.txt"
cat "$dir/report.txt"
