#!/bin/sh
# publish.sh DIR REPORTS: the report under its period's name, in one step.
set -eu
dir=$1 reports=$2
mkdir -p "$reports"
cp "$dir/report.txt" "$reports/.$HCNDC_PERIOD.part"
mv "$reports/.$HCNDC_PERIOD.part" "$reports/$HCNDC_PERIOD.txt"
echo "publish: $reports/$HCNDC_PERIOD.txt"
