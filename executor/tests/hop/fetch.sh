#!/usr/bin/env bash
# A head-less Apache Hop in DIR, fetched by install.sh unless it is there already.
# usage: fetch.sh DIR [VERSION]
set -euo pipefail
home=$1 version=${2:-2.15.0}
[ ! -x "$home/hop-run.sh" ] || exit 0
for tool in java javac jar mvn python3; do
  command -v $tool >/dev/null || { echo "hop: $tool is needed to fetch Apache Hop $version" >&2; exit 1; }
done
rm -rf "$home.new"
mkdir -p "$home.new"
"$(dirname "$0")/install.sh" "$home.new" "$version"
mv "$home.new" "$home"
