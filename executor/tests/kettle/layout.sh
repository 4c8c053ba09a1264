#!/usr/bin/env bash
# A folder that is like an install of Kettle, as far as our tests look: the scripts of this folder, and in lib/ our stand-in of
# the engine, compiled. No Kettle is in it.
# usage: layout.sh DIR          JAVA_HOME, or javac and jar on the PATH
set -euo pipefail
from=$(cd "$(dirname "$0")" && pwd)
bin=${JAVA_HOME:+$JAVA_HOME/bin/}
for tool in javac jar; do
  command -v "$bin$tool" >/dev/null || { echo "layout.sh: there is no $bin$tool: a JDK is needed, not only a Java" >&2; exit 1; }
done
mkdir -p "$1/lib"
dir=$(cd "$1" && pwd)
cp "$from"/{kitchen,pan,spoon,jvm}.sh "$dir"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$from/engine" -name '*.java' >"$work/sources"
mkdir "$work/classes"
"${bin}javac" -nowarn -encoding UTF-8 --release 8 -Xlint:-options -d "$work/classes" "@$work/sources"
"${bin}jar" cf "$dir/lib/kettle-engine-standin.jar" -C "$work/classes" .
echo "our stand-in of a Kettle install: no Kettle is in it" >"$dir/STANDIN"
