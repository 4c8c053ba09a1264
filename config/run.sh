#!/usr/bin/env bash
# run.sh: what `make run` does. Builds, starts a master and one executor on the embedded database, loads the
# sample mesh, runs two periods of it, starts last month, and keeps running until it is stopped (ctrl-C stops both).
#
#   PORT  of the pages, default 8630          DATA  where everything is kept, default var
#   EXECUTOR_PORT  default PORT + 1           PROFILE  dev or release, default dev
#   HOP  not empty: `make run-hop`, with an Apache Hop and an interface that it runs (hop.sh)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
port=${PORT:-8630}
executor_port=${EXECUTOR_PORT:-$((port + 1))}
profile=${PROFILE:-dev}
mkdir -p "${DATA:-var}"
data=$(cd "${DATA:-var}" && pwd)
tools="cargo npm awk gzip"
# shellcheck source=config/prepare.sh
. config/prepare.sh
# shellcheck source=config/hop.sh
. config/hop.sh
[ -z "${HOP:-}" ] || hop_prepare
export HCNDC_CONFIG=$data/client.toml

master_pid='' executor_pid=''
stop() {
    trap - EXIT INT TERM
    say "Stopping"
    # The executor first: what still runs is ended with it, so that nothing stays behind.
    for pid in $executor_pid $master_pid; do kill -TERM "$pid" 2> /dev/null || true; done
    for pid in $executor_pid $master_pid; do wait "$pid" 2> /dev/null || true; done
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "Starting"
setsid "$master" --data "$data/master" --port "$port" \
    --admin-password-file "$data/admin-password" --client-file "$data/client.toml" \
    >> "$data/master.log" 2>&1 &
master_pid=$!
for _ in $(seq 300); do
    kill -0 "$master_pid" 2> /dev/null || { tail -5 "$data/master.log" >&2; exit 1; }
    hcndc execution list > /dev/null 2>&1 && ready=1 && break
    sleep 0.1
done
[ -n "${ready:-}" ] || { echo "the master does not answer: see $data/master.log" >&2; exit 1; }

if [ ! -s "$data/executor/pki/cert.pem" ]; then
    "$master" issue-host --data "$data/master" --name local --out "$data/executor/pki"
fi
setsid "$executor" run --data "$data/executor" --listen "127.0.0.1:$executor_port" --stop-jobs \
    ${HOP:+--config "$data/executor.toml"} \
    >> "$data/executor.log" 2>&1 &
executor_pid=$!

say "Loading the sample mesh"
cat > "$data/host.yaml" <<YAML
kind: host
name: local
spec:
  description: "The executor that make run starts."
  address: "127.0.0.1:$executor_port"
  slots: 4
YAML
hcndc apply -f "$data/host.yaml"
hcndc apply -f config/sample --param "home=$root/config/sample" --param "work=$data/sample"

# Yesterday and the day before, as the schedule takes them: in the zone of the sample.
for back in 2 1; do
    period=$(TZ=Asia/Shanghai date -d "-$back day" +%F 2> /dev/null || TZ=Asia/Shanghai date "-v-${back}d" +%F)
    say "Running flights_load for $period, with all that follows"
    # What has succeeded at an earlier start is not run again.
    hcndc run flights_load --period "$period" --cascade --missing-only --wait --timeout 5m
done
cat "$data/sample/reports/$period.txt"
[ -z "${HOP:-}" ] || hop_run
start_last_month

password=$(cat "$data/admin-password" 2> /dev/null || echo "as you have set it")
cat <<TEXT

HCNDC is running:   http://127.0.0.1:$port/
  log in as         admin / $password
  look at           http://127.0.0.1:$port/execute/flow/       the executions: open one, see mesh, Gantt, log
                    http://127.0.0.1:$port/interface/          the five interfaces and their mesh
                    http://127.0.0.1:$port/why/?what=flights_month&when=${period%-*}   a month that waits, and for which days
                    http://127.0.0.1:$port/dispatch/           flights_daily: when it fires next
                    http://127.0.0.1:$port/base/exec/host/     the executor${HOP:+$hop_pages}
  command line      export HCNDC_CONFIG=$data/client.toml; $bin/hcndc execution list
  logs              $data/master.log, $data/executor.log

It runs until it is stopped: ctrl-C ends the master and the executor.
TEXT
wait -n "$master_pid" "$executor_pid" || true
echo "one of the two has ended: see $data/master.log and $data/executor.log" >&2
exit 1
