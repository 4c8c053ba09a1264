#!/bin/bash
# See kitchen.sh. What the real one does to its callers: a box, its own folder, KETTLE_* as -D on the command line of the
# JVM, a default that newer JVMs refuse, stderr folded into stdout, blank lines dropped, the exit code passed on.
cd "$(dirname "$0")" || exit 1
if [ "${STANDIN:-}" = arch ]; then
  echo "I'm sorry, this Linux platform [$(uname -m)] is not yet supported!"
  exit
fi
if [ "${SKIP_WEBKITGTK_CHECK:-}" != 1 ]; then
  B=$(printf '#%.0s' {1..71})
  printf '%s\n' "$B" 'WARNING:  no libwebkitgtk-1.0 detected, some features will be unavailable' "$B"
fi
OPT=${PENTAHO_DI_JAVA_OPTIONS:-"-Xms1024m -Xmx2048m -XX:MaxPermSize=256m"}
for name in KETTLE_HOME KETTLE_REPOSITORY KETTLE_USER KETTLE_PASSWORD; do OPT="$OPT -D$name=${!name:-}"; done
[ "${1:-}" = -main ] || exit 1
main=$2
shift 2
# shellcheck disable=SC2086 # as the real one
./jvm.sh $OPT "$main" "$@" 2>&1 | grep -viE "Gtk-WARNING|GLib-GObject|GLib-CRITICAL|^$"
exit "${PIPESTATUS[0]}"
