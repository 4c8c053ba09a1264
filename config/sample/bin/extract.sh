#!/bin/sh
# extract.sh SOURCE DIR DAY: the flights of one day of January 2013 (DAY is 01 to 31) into DIR/raw.csv.
set -eu
source=$1 dir=$2 day=$3
mkdir -p "$dir"
gzip -dc "$source" | awk -F, -v day="$day" '
    NR == 1 { print; next }
    $3 + 0 == day + 0 { print; n++ }
    END { if (n == 0) { print "extract: no flight on day " day > "/dev/stderr"; exit 1 } }
' > "$dir/raw.csv.part"
mv "$dir/raw.csv.part" "$dir/raw.csv"
echo "extract: $(($(wc -l < "$dir/raw.csv") - 1)) flights of January $day, 2013, for period $HCNDC_PERIOD"
