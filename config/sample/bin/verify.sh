#!/bin/sh
# verify.sh DIR: every line of DIR/raw.csv has its 14 fields and an airport of New York.
set -eu
dir=$1
awk -F, '
    NR == 1 { next }
    NF != 14 { print "verify: line " NR " has " NF " fields" > "/dev/stderr"; bad++ }
    $11 != "EWR" && $11 != "JFK" && $11 != "LGA" { print "verify: line " NR ": origin " $11 > "/dev/stderr"; bad++ }
    END { print "verify: " NR - 1 " lines, " bad + 0 " bad"; exit bad > 0 }
' "$dir/raw.csv"
