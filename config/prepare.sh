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
