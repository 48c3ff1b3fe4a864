#!/usr/bin/env bash
# Runs the tests. Needs Rust 1.95, gcc and Python 3.11; takes 20 to 40 minutes on 2 cores the first time.
#
#   scripts/test.sh           the crates' tests; the smoke profile end to end; its tables checked without the crate
#                             `schemas`, compared with those of its declared versions, and their numbers recomputed by a second
#                             implementation; every stage killed many times, after which it must finish with the same bytes; a
#                             stage of one's own; a model that nanoGPT could have saved, imported and exported; texts that people bring; the metrics on
#                             datasets with a known structure; the page in a headless Chromium; the questions of docs/querying.md
#                             in SQL, Python and Rust. `query` is built beside the checks in Python
#   scripts/test.sh --models  the same with PyTorch and TransformerLens, which it installs (6 GB): checkpoints that PyTorch saves and
#                             loads, and the recipes of docs/querying.md with both
#   scripts/test.sh --quick   only the crates' tests
#
# Prints at the end which checks passed and how long they took, and the number of tests and checks that passed and failed.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

quick=false models=false
case "${*:-}" in
"") ;;
--models) models=true ;;
--quick) quick=true ;;
-h | --help)
    sed -n '2,/^set /{/^set /!s/^#\( \|$\)//p}' "$0"
    exit 0
    ;;
*)
    echo "error: unknown option \`$*\`; expected --models, --quick or none" >&2
    exit 2
    ;;
esac

target=${CARGO_TARGET_DIR:-target}
artifacts=artifacts/smoke
log=$(mktemp)
libraries=
trap '[ -z "$libraries" ] || kill "$libraries" 2>/dev/null; rm -f "$log" "$log".*' EXIT
checks_passed=0 checks_failed=0 checks_skipped=0
report=()

# Runs a check, `NAME COMMAND…`, and records its result and its time.
check() {
    local name=$1 started=$SECONDS result=passed
    shift
    echo
    echo "== $name"
    "$@"
    case $? in
    0) checks_passed=$((checks_passed + 1)) ;;
    # What the check needs is missing and cannot be installed.
    77) result=skipped checks_skipped=$((checks_skipped + 1)) ;;
    *) result=FAILED checks_failed=$((checks_failed + 1)) ;;
    esac
    report+=("$result: $name ($((SECONDS - started)) s)")
    [ "$result" = passed ]
}

# The tests are counted in cargo's output.
cargo_test() {
    cargo test --release --locked --no-fail-fast "$@" 2>&1 | tee -a "$log"
}

# The program as it is: cargo may be busy with the query program.
driver() {
    "$target/release/driver" "$@"
}

# From scratch, so that no files of an earlier run remain.
smoke() {
    rm -rf "$artifacts"
    ./scripts/run_pipeline.sh --profile smoke
}

# The tables of `smoke` in a new folder, as copied from another machine: nothing but figures, which have no footers, is made again.
adoption() {
    local folder=artifacts/adoption_test
    rm -rf "$folder" && mkdir -p "$folder" && cp -r "$artifacts"/[a-z]* "$folder" && rm -r "$folder/lineage" &&
        driver --profile smoke --artifacts "$folder" 2>&1 | tee "$log.adoption" &&
        [ "$(grep -c '^▸' "$log.adoption")" = 1 ] && grep -q '^▸ plot' "$log.adoption"
}

# Runs that are added to a finished study: what others did already is copied, and its footers are enough to know it again.
added_runs() {
    local folder=artifacts/added_test
    rm -rf "$folder"
    driver --profile smoke --artifacts "$folder" --set 'runs=[run_0,run_1]' &&
        driver --profile smoke --artifacts "$folder" 2>&1 | tee "$log.added" &&
        ! grep -qE '^▸ (train|evaluate|snapshot)' "$log.added" && grep -q 'train .* · copied from run_1' "$log.added" &&
        rm "$folder/.state.json" && driver --profile smoke --artifacts "$folder" 2>&1 | tee "$log.known" &&
        ! grep -qE '^▸|linked|copied' "$log.known" && python python/check_tables.py --require-all "$folder"
}

# With enough layers, seeds and snapshots for the claims; smoke has too few.
statistics() {
    local folder=artifacts/statistics_test
    rm -rf "$folder"
    driver --profile smoke --artifacts "$folder" --set 'seeds=[1,2,3]' --set train.n_layer=6 \
        --set train.max_iters=60 --set snapshot.steps=0-60/5 --set generate.samples=5 &&
        python python/verify_tables.py "$folder" --only statistics
}

# One seed of the profile `control`, from scratch: under two minutes on 2 cores.
controls() {
    rm -rf artifacts/control_test
    driver --profile control --set 'seeds=[1337]' --artifacts artifacts/control_test &&
        python python/check_controls.py artifacts/control_test
}

python() {
    .venv/bin/python "$@"
}

environment() {
    pip_install --requirement python/requirements.txt
}

# Waits for PyTorch and TransformerLens.
libraries_installed() {
    wait "$libraries" || { cat "$log.libraries" && return 1; }
}

# Python packages in the environment of the checks.
pip_install() {
    python3 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check "$@"
}

# The README's Python blocks, on the tables of the smoke profile.
readme_queries() {
    local blocks
    blocks=$(sed -n '/^```python$/,/^```$/{/^```/!p}' README.md | sed "s#artifacts/laptop#$artifacts#")
    [ -n "$blocks" ] && python - <<<"$blocks"
}

# Polars takes as long to build as everything else, and often one core is idle: the checks in Python go on meanwhile.
query_program() {
    cargo test --release --locked --no-fail-fast --package query && cargo build --release --locked --package query
}

# Waits for the query program, and repeats what was said.
query_program_ended() {
    wait "$query_program"
    local status=$?
    tee -a "$log" <"$log.query"
    return "$status"
}

# Unpacking takes minutes, so it goes on while the crates are built.
if $models; then
    pip_install --requirement python/requirements.txt --requirement python/requirements-models.txt >"$log.libraries" 2>&1 &
    libraries=$!
fi
check "the crates' tests" cargo_test
if ! $quick; then
    if check "smoke profile, end to end" smoke; then
        query_program >"$log.query" 2>&1 &
        query_program=$!
        ! $models || check "PyTorch and TransformerLens" libraries_installed
        if check "Python environment" environment; then
            check "tables against the contract, by pyarrow, Polars, pandas and DuckDB" \
                python python/check_tables.py --require-all "$artifacts"
            check "what stages write has changed only where its version has" \
                python python/check_versions.py "$artifacts"
            check "tables are recognised in another folder" adoption
            check "runs that are added later take what others did" added_runs
            check "a nanoGPT checkpoint imported, and all exports read by other readers" \
                python python/check_exchange.py "$artifacts"
            check "numbers recomputed by NumPy and SciPy" \
                python python/verify_tables.py "$artifacts"
            check "correlations and findings of a larger study, recomputed" statistics
            check "every stage killed: no incomplete file, and the same bytes after a rerun" \
                python python/check_kills.py "$artifacts"
            check "a stage of one's own: the example of docs/own-stage.md, killed once" \
                python python/check_own_stage.py "$artifacts" "$target/release"
            check "texts that people bring: what is said of them, and their numbers recomputed" \
                python python/check_texts.py "$target/release"
            check "controls: the metrics find what was planted, and nothing else" controls
        fi
        check "the README's Python blocks" readme_queries
        check "the query program: build and tests" query_program_ended
        check "docs/tutorial.md, every command" python python/check_tutorial.py
        check "the page in a browser, its values beside the Parquet" scripts/test_page.sh "$artifacts"
        check "docs/querying.md: the same rows by SQL, DuckDB, Python and Rust; its recipes" \
            python python/check_querying.py artifacts/statistics_test
    fi
fi

# Sums the numbers before `passed;`, `failed;` and `ignored;` in cargo's result lines.
count() {
    awk -v word="$1;" '/^test result: /{for (i = 2; i <= NF; i++) if ($i == word) sum += $(i - 1)} END {print sum + 0}' "$log"
}
passed=$(count passed) failed=$(count failed) ignored=$(count ignored)

echo
printf '%s\n' "${report[@]}"
echo "cargo test: $passed passed, $failed failed, $ignored ignored; checks: $checks_passed passed, $checks_failed failed, $checks_skipped skipped"
echo "$((passed + checks_passed)) passed, $((failed + checks_failed)) failed"
[ "$failed" = 0 ] && [ "$checks_failed" = 0 ]
