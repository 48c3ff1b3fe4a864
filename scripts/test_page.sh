#!/usr/bin/env bash
# Tests the page: its modules in Node, then the page itself in a headless Chromium, where its values are compared with the Parquet.
#
#   scripts/test_page.sh [FOLDER]    the page of a folder of artifacts [default: artifacts/smoke]
#
# Needs Node 18 or later, npm and Chromium, which are installed by apt-get where that may be done, and .venv. SHOTS=FOLDER keeps
# screenshots of every view. Exit code 77: something is missing, and nothing was tested.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

artifacts=${1:-artifacts/smoke}
tests=stages/plot/tests/page
target=${CARGO_TARGET_DIR:-target}

missing() {
    local program
    for program in node npm "${CHROMIUM:-chromium}"; do command -v "$program" >/dev/null || echo "$program"; done
}
if [ -n "$(missing)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    { apt-get update && apt-get install --yes --no-install-recommends nodejs npm chromium; } >/dev/null 2>&1
fi
if [ -n "$(missing)" ]; then
    echo "skipped: the page was not tested, since these are missing and cannot be installed:" $(missing)
    exit 77
fi
CHROMIUM=$(command -v "${CHROMIUM:-chromium}")
export CHROMIUM

node --test $tests/modules.test.mjs || exit 1
# What npm has installed already stays.
if [ ! $tests/node_modules/.package-lock.json -nt $tests/package-lock.json ] && ! npm ci --prefix $tests --no-audit --no-fund --silent; then
    echo "skipped: the page was not tested in a browser, since npm could not install playwright-core and axe-core"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
.venv/bin/python python/page_values.py "$artifacts" >"$work/values.json" || exit 1
# A study whose texts are markup and control characters, and one that still runs, which tests of `plot` write.
PLOT_STUDY=$work/hostile cargo test --quiet --release --locked --test study a_study_ >"$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
[ -z "${SHOTS:-}" ] || mkdir -p "$SHOTS"
PAGE=$artifacts VALUES=$work/values.json HOSTILE=$work/hostile node --test $tests/browser.test.mjs
