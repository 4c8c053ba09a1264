# hop.sh: what `make run-hop` adds to run.sh, which sources it with `root`, `data`, `port` and hcndc set: an Apache Hop, fetched
# once (HOP_HOME names another one), the named environment `hop` of the executor, and an interface whose job Hop runs.
hop_home=${HOP_HOME:-$root/.services/hop/2.15.0}

# What there is to look at then; a line of the text that run.sh ends with.
# shellcheck disable=SC2034
hop_pages="
                    http://127.0.0.1:$port/job/?q=carriers_of_the_month   what Hop runs: its tab Runs has the rows by period"

# Before the executor starts.
hop_prepare() {
    if [ ! -x "$hop_home/hop-run.sh" ]; then
        say "Fetching Apache Hop (630 MB, once)"
        mkdir -p "$(dirname "$hop_home")"
        executor/tests/hop/fetch.sh "$hop_home" 2.15.0
    fi
    mkdir -p "$data/hop"
    cat > "$data/hop/hop-config.json" <<JSON
{"projectsConfig": {"enabled": true, "projectMandatory": false, "lifecycleEnvironments": [], "projectConfigurations":
  [{"projectName": "flights", "projectHome": "$root/config/sample/hop", "configFilename": "project-config.json"}]}}
JSON
    (umask 077; cat > "$data/executor.toml") <<TOML
[browse]
folders = ["$root/config/sample/hop"]

[environments.hop]
vars = { HOP_HOME = "$hop_home", HOP_CONFIG_FOLDER = "$data/hop", HOP_OPTIONS = "-Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC" }
TOML
}

# When the sample is loaded: the last three months.
hop_run() {
    local year month back at period
    hcndc apply -f config/sample-hop.yaml --param "home=$root/config/sample" --param "work=$data/sample"
    year=$(TZ=Asia/Shanghai date +%Y) month=$(($(TZ=Asia/Shanghai date +1%m) - 100))
    for back in 3 2 1; do
        at=$((year * 12 + month - 1 - back))
        period=$(printf '%d-%02d' $((at / 12)) $((at % 12 + 1)))
        say "Running flights_hop for $period"
        hcndc run flights_hop --period "$period" --missing-only --wait --timeout 10m
    done
    cat "$data/sample/hop/$period.csv"
}
