#!/bin/sh
# See kitchen.sh.
H=$(cd "$(dirname "$0")" && pwd)
"$H/spoon.sh" -main org.pentaho.di.pan.Pan -initialDir "$PWD/" "$@"
