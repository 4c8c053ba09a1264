#!/bin/sh
# Stand-in of a Kettle install: script, script, "JVM" as a child of each, as the real ones are.
H=$(cd "$(dirname "$0")" && pwd)
"$H/spoon.sh" -main org.pentaho.di.kitchen.Kitchen -initialDir "$PWD/" "$@"
