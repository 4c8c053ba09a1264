#!/usr/bin/env bash
# run-full.sh: what `make run-full` does. Starts MariaDB, MongoDB and Redis (.ci/services), two masters and
# three executors on them, loads the sample mesh, runs one period of it, and keeps running until it is
# stopped: ctrl-C or TERM ends what it has started, each by its pid.
#
#   PORT  of the first master's pages, default 8640; the second and the executors follow
#   DATA  where everything is kept, default var-full      PROFILE  dev or release, default dev
#   MYSQL_PORT REDIS_PORT MONGO_PORT  of the servers: 23407, 23681, 23119, beside those of the tests
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
port=${PORT:-8640}
profile=${PROFILE:-dev}
export MYSQL_PORT=${MYSQL_PORT:-23407} REDIS_PORT=${REDIS_PORT:-23681} MONGO_PORT=${MONGO_PORT:-23119}
mkdir -p "${DATA:-var-full}"
data=$(cd "${DATA:-var-full}" && pwd)
tools="cargo npm awk gzip curl"
# shellcheck source=config/prepare.sh
. config/prepare.sh
export HCNDC_CONFIG=$data/master1.client.toml

executors=() masters=() servers=''
stop() {
    trap - EXIT INT TERM
    say "Stopping"
    local pid
    # The executors first: what still runs is ended with them, so that nothing stays behind.
    for pid in "${executors[@]}" "${masters[@]}"; do kill -TERM "$pid" 2> /dev/null || true; done
    for pid in "${executors[@]}" "${masters[@]}"; do wait "$pid" 2> /dev/null || true; done
    [ -z "$servers" ] || .ci/services stop "$data/services"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say "Starting MariaDB, MongoDB and Redis"
servers=yes
# The one that the tests have fetched will do.
[ ! -x .services/mongo/mongod ] || PATH=$PATH:$root/.services/mongo
.ci/services start "$data/services" > /dev/null
# shellcheck disable=SC1091
. "$data/services/env"
client=$(command -v mariadb || command -v mysql)
"$client" --no-defaults -S "$data/services/mysql.sock" -uroot -e 'CREATE DATABASE IF NOT EXISTS hcndc'

configure() {
    local number=$1
    cat > "$data/master$number.toml" << TOML
data = "$data/master$number"
[web]
listen = "127.0.0.1:$((port + number - 1))"
[database]
url = "$HCNDC_TEST_MYSQL/hcndc"
[session]
url = "$HCNDC_TEST_REDIS"
[bus]
url = "$HCNDC_TEST_REDIS"
[lease]
url = "$HCNDC_TEST_MONGO"
[logs]
url = "$HCNDC_TEST_MONGO"
TOML
}

start_master() {
    local number=$1 pid
    configure "$number"
    setsid "$master" --config "$data/master$number.toml" --admin-password-file "$data/admin-password" \
        --client-file "$data/master$number.client.toml" >> "$data/master$number.log" 2>&1 &
    pid=$!
    masters+=("$pid")
    for _ in $(seq 300); do
        kill -0 "$pid" 2> /dev/null || { tail -5 "$data/master$number.log" >&2; exit 1; }
        HCNDC_CONFIG=$data/master$number.client.toml hcndc execution list > /dev/null 2>&1 && return
        sleep 0.1
    done
    echo "master $number does not answer: see $data/master$number.log" >&2
    exit 1
}

say "Starting two masters"
start_master 1
# One cluster has one authority: its key and certificate belong to every master.
mkdir -p -m 700 "$data/master2/pki"
cp -p "$data/master1/secret.key" "$data/master2/"
cp -p "$data/master1/pki/ca.pem" "$data/master1/pki/ca.key" "$data/master2/pki/"
start_master 2

say "Starting three executors"
: > "$data/hosts.yaml"
for number in 1 2 3; do
    own=$data/executor$number listen=127.0.0.1:$((port + 1 + number))
    [ -s "$own/pki/cert.pem" ] \
        || "$master" issue-host --config "$data/master1.toml" --name "host$number" --out "$own/pki"
    printf 'data = "%s"\nlisten = "%s"\n[logs]\nurl = "%s"\n' "$own" "$listen" "$HCNDC_TEST_MONGO" \
        > "$data/executor$number.toml"
    setsid "$executor" run --config "$data/executor$number.toml" --stop-jobs >> "$data/executor$number.log" 2>&1 &
    executors+=("$!")
    # Masters dial: an executor is known by its address, and trusted by its certificate.
    cat >> "$data/hosts.yaml" << YAML
---
kind: host
name: host$number
spec:
  description: "Executor $number of make run-full."
  address: "$listen"
  slots: 4
YAML
done

say "Loading the sample mesh"
hcndc apply -f "$data/hosts.yaml"
hcndc apply -f config/sample --param "home=$root/config/sample" --param "work=$data/sample"
period=$(TZ=Asia/Shanghai date -d "-1 day" +%F 2> /dev/null || TZ=Asia/Shanghai date "-v-1d" +%F)
say "Running flights_load for $period, with all that follows; asked of the second master"
HCNDC_CONFIG=$data/master2.client.toml hcndc run flights_load --period "$period" --cascade --missing-only --wait --timeout 5m
cat "$data/sample/reports/$period.txt"
start_last_month

leads() { curl -fsS "http://127.0.0.1:$1/readyz" 2> /dev/null | grep -q '"leads":true' && echo "leads" || echo "follows"; }
password=$(cat "$data/admin-password" 2> /dev/null || echo "as you have set it")
cat << TEXT

HCNDC is running on MariaDB, MongoDB and Redis:
  first master      http://127.0.0.1:$port/   $(leads "$port"), process ${masters[0]}
  second master     http://127.0.0.1:$((port + 1))/   $(leads $((port + 1))), process ${masters[1]}
  log in as         admin / $password (once for both)
  executors         127.0.0.1:$((port + 2)), $((port + 3)), $((port + 4))
  try               kill -9 the process that leads: the other one goes on within seconds
  command line      export HCNDC_CONFIG=$data/master1.client.toml; $bin/hcndc execution list
  servers           $HCNDC_TEST_MYSQL $HCNDC_TEST_MONGO $HCNDC_TEST_REDIS
  logs              $data/*.log

It runs until it is stopped: ctrl-C ends masters, executors and servers.
TEXT
# One of the masters may go, that is what two are for; without both there is nothing to look at.
wait "${masters[@]}" || true
echo "both masters have ended: see $data/master1.log and $data/master2.log" >&2
exit 1
