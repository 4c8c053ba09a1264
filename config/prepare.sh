# prepare.sh: what the scripts that run the sample have in common; sourced with `tools` (what must be there), `profile`
# and `data` set. Fetches what pages need, builds, and gives $master, $executor and hcndc.
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

for tool in $tools; do
    command -v "$tool" > /dev/null || { echo "make run needs $tool: see README.md" >&2; exit 1; }
done
if [ ! -e static/vendor/.stamp ]; then
    say "Fetching layui and ECharts"
    make vendor
fi

say "Building"
cargo build --locked --profile "$profile" -p master -p executor --bins
bin=${CARGO_TARGET_DIR:-target}/$([ "$profile" = dev ] && echo debug || echo "$profile")
# shellcheck disable=SC2034
master=$bin/hcndc-master executor=$bin/hcndc-executor
hcndc() { "$bin/hcndc" "$@"; }

# The days of last month, as the schedule takes them: what flights_month waits for. They are started and not
# waited for: the report of the month is there when the last of them is.
start_last_month() {
    local year month days day
    year=$(TZ=Asia/Shanghai date +%Y) month=$(($(TZ=Asia/Shanghai date +1%m) - 101))
    [ "$month" -gt 0 ] || { month=12 year=$((year - 1)); }
    # shellcheck disable=SC2154
    [ ! -e "$data/sample/reports/$(printf '%d-%02d' "$year" "$month").txt" ] || return 0
    days=$(awk -v y="$year" -v m="$month" 'BEGIN {
        split("31 28 31 30 31 30 31 31 30 31 30 31", days, " ")
        print days[m] + (m == 2 && (y % 4 == 0 && y % 100 != 0 || y % 400 == 0))
    }')
    say "Starting flights_load for the $days days of $(printf '%d-%02d' "$year" "$month"): flights_month waits for all of them"
    for day in $(seq "$days"); do
        hcndc run flights_load --period "$(printf '%d-%02d-%02d' "$year" "$month" "$day")" \
            --cascade --missing-only > /dev/null
    done
}
