#!/bin/sh
# source_ready.sh SOURCE: is the month's file there and whole?
# Its first attempt says no, on purpose: so that a retry can be seen in every run of the sample.
set -eu
source=$1
if [ "${HCNDC_ATTEMPT:-1}" = 1 ]; then
    echo "source_ready: $source is being copied by the nightly transfer; come back later" >&2
    exit 75
fi
[ -r "$source" ] || { echo "source_ready: $source cannot be read" >&2; exit 1; }
gzip -t "$source"
echo "source_ready: $source is whole ($(wc -c < "$source" | tr -d ' ') bytes)"
