#!/usr/bin/env bash
# Passes the tests. Needs Rust 1.95, gcc and Python 3.11; takes 20 to 40 minutes on 2 cores the first time.
#
#   scripts/test.sh           the crates' tests; the smoke profile end to end; its tables checked by a reader that is not
#                             the crate `schemas`, and their numbers recomputed from their formulas; every stage killed
#                             again and again, which must spoil nothing; texts with a known structure, in which the
#                             metrics must find what was planted and nothing else; questions to the tables answered
#                             alike by Rust and by Python
#   scripts/test.sh --quick   the crates' tests alone
#
# Ends with what passed and how long it took, and the number of tests and checks that passed and failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case "${*:-}" in
"") quick=false ;;
--quick) quick=true ;;
-h | --help)
    sed -n '2,/^set /{/^set /!s/^#\( \|$\)//p}' "$0"
    exit 0
    ;;
*)
    echo "error: \`$*\` is not known: there is --quick" >&2
    exit 2
    ;;
esac

target=${CARGO_TARGET_DIR:-target}
artifacts=artifacts/smoke
log=$(mktemp)
trap 'rm -f "$log" "$log".*' EXIT
checks_passed=0 checks_failed=0
report=()

# Runs a check, `NAME COMMAND…`, and notes how it ended and how long it took.
check() {
    local name=$1 started=$SECONDS ended=passed
    shift
    echo
    echo "== $name"
    if "$@"; then checks_passed=$((checks_passed + 1)); else ended=FAILED checks_failed=$((checks_failed + 1)); fi
    report+=("$ended: $name ($((SECONDS - started)) s)")
    [ "$ended" = passed ]
}

# Cargo's own output is also where the tests are counted.
cargo_test() {
    cargo test --release --locked --no-fail-fast "$@" 2>&1 | tee -a "$log"
}

# Nothing that an earlier run left may pass for what this one makes.
smoke() {
    rm -rf "$artifacts"
    ./scripts/run_pipeline.sh --profile smoke
}

# As many layers, seeds and snapshots as the claims need, which smoke has not.
statistics() {
    local folder=artifacts/statistics_test
    rm -rf "$folder"
    ./scripts/run_pipeline.sh --profile smoke --artifacts "$folder" --set 'seeds=[1,2,3]' --set train.n_layer=6 \
        --set train.max_iters=60 --set snapshot.steps=0-60/5 --set generate.samples=5 &&
        python python/verify_tables.py "$folder" --only statistics
}

# One seed of the profile `control`, from nothing: under two minutes on 2 cores.
controls() {
    rm -rf artifacts/control_test
    ./scripts/run_pipeline.sh --profile control --set 'seeds=[1337]' --artifacts artifacts/control_test &&
        python python/check_controls.py artifacts/control_test
}

python() {
    .venv/bin/python "$@"
}

environment() {
    python3 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check --requirement python/requirements.txt
}

queries() {
    local question failed=0
    for question in entropy-by-layer similarity quality; do
        echo "-- query $question"
        "$target/release/query" "$question" --artifacts "$artifacts" | tee "$log.rust"
        python python/queries.py "$question" --artifacts "$artifacts" >"$log.python"
        [ -s "$log.rust" ] && diff "$log.rust" "$log.python" || failed=1
    done
    return $failed
}

# The README's own blocks of Python, on the tables that are at hand.
readme_queries() {
    local blocks
    blocks=$(sed -n '/^```python$/,/^```$/{/^```/!p}' README.md | sed "s#artifacts/laptop#$artifacts#")
    [ -n "$blocks" ] && python - <<<"$blocks"
}

check "tests of the crates" cargo_test
if ! $quick; then
    if check "smoke profile, end to end" smoke; then
        if check "Python environment" environment; then
            check "tables against the contract, by pyarrow, Polars, pandas and DuckDB" \
                python python/check_tables.py --require-all "$artifacts"
            check "numbers recomputed from their formulas, by NumPy and SciPy" \
                python python/verify_tables.py "$artifacts"
            check "correlations and findings of a larger study, recomputed" statistics
            check "every stage killed: no incomplete file, and then the same bytes" \
                python python/check_kills.py "$artifacts"
            check "controls: what was planted is found, and nothing else" controls
        fi
        check "the README's queries in Python" readme_queries
        check "tests of the query program" cargo_test --package query &&
            check "query program" cargo build --release --locked --package query &&
            check "the same answers from Rust and Python" queries
    fi
fi

# Sums the word before `passed;`, `failed;` and `ignored;` over cargo's closing lines.
count() {
    awk -v word="$1;" '/^test result: /{for (i = 2; i <= NF; i++) if ($i == word) sum += $(i - 1)} END {print sum + 0}' "$log"
}
passed=$(count passed) failed=$(count failed) ignored=$(count ignored)

echo
printf '%s\n' "${report[@]}"
echo "cargo test: $passed passed, $failed failed, $ignored ignored; checks: $checks_passed passed, $checks_failed failed"
echo "$((passed + checks_passed)) passed, $((failed + checks_failed)) failed"
[ "$failed" = 0 ] && [ "$checks_failed" = 0 ]
