#!/usr/bin/env bash
# Everything that must hold before a change lands; CI runs this and nothing else.
# Installs what is missing, starts private servers, checks format, lints, tests, docs and dependencies,
# stops the servers again. With CI=true a generation or a suite that did not run is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=scripts/machine.sh source-path=SCRIPTDIR
. scripts/machine.sh

[ $# = 0 ] || die "test.sh takes no arguments; for one test: scripts/services.sh up DIR, . DIR/env, cargo test"

# The same for clippy, test and doc, so that no dependency is built with two sets of features.
features=(--workspace --features leveret/failpoints)

work=$(mktemp -d "${TMPDIR:-/tmp}/leveret-test.XXXXXX")
cleanup() {
    scripts/services.sh down "$work/services"
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { # title command...
    local began=$SECONDS
    printf '\n==> %s\n' "$1"
    shift
    "$@"
    printf '==> %s s\n' $((SECONDS - began))
}

start_services() {
    unset LEVERET_TEST_{RABBITMQ_3,RABBITMQ_3_API,REDIS_7,RABBITMQ_4,RABBITMQ_4_API,REDIS_8,POSTGRES}
    scripts/services.sh up "$work/services"
    # shellcheck source=/dev/null
    . "$work/services/env"
}

document() { RUSTDOCFLAGS="-D warnings" cargo doc "${features[@]}" --no-deps; }

# The parts that docs/programs.md offers; the whole is what everything else here builds.
check_parts() {
    cargo check -p leveret --no-default-features --features config,servers
    cargo check -p leveret --no-default-features --features config,embedded,worker
}

# What mdbook warns of is a mistake: a page that the summary names and that is not there, a fence that does not end.
build_book() {
    command -v mdbook >/dev/null || PATH="$(mdbook_home)/bin:$PATH"
    mdbook build --dest-dir "$work/book" 2>&1 | tee "$work/book.log"
    ! grep -E '^ *(WARN|ERROR) ' "$work/book.log"
}

check_dependencies() {
    command -v cargo-deny >/dev/null || PATH="$(deny_home)/bin:$PATH"
    cargo deny check --hide-inclusion-graph bans licenses sources
}

check_advisories() {
    if timeout 60 cargo deny fetch db >"$work/advisories.log" 2>&1; then
        cargo deny check advisories
    else
        say "SKIPPED: the advisory database cannot be reached from here, so known vulnerabilities were not checked"
    fi
}

# Each conformance suite appends "conformance: SUITE BACKEND N cases" to the report; one that ran nothing
# would otherwise look like one that passed.
conformance_table() {
    local suite backend backends cases missing=()
    printf '%-8s %-18s %s\n' suite backend cases
    for suite in broker store desk; do
        case $suite in
        broker) backends="embedded rabbitmq-3 rabbitmq-4" ;;
        store) backends="embedded redis-7 redis-8 redis-7-cluster redis-8-cluster redis-7-sentinel redis-8-sentinel" ;;
        desk) backends="embedded rabbitmq-3+redis-7 rabbitmq-4+redis-8" ;;
        esac
        for backend in $backends; do
            cases=$(awk -v s=$suite -v b="$backend" \
                '$1 == "conformance:" && $2 == s && $3 == b { n += $4 } END { print n + 0 }' "$LEVERET_TEST_REPORT")
            printf '%-8s %-18s %s\n' "$suite" "$backend" "$cases"
            [ "$cases" -gt 0 ] || missing+=("$suite $backend")
        done
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "no conformance case ran for: $(printf '%s, ' "${missing[@]}" | sed 's/, $//')"
    [ "${CI:-}" != true ]
}

# How many examples of the pages were run, compiled, read or left, and why those.
snippets() { grep '^snippet' "$LEVERET_TEST_REPORT"; }

long_files() { grep '^long file: ' "$LEVERET_TEST_REPORT" || echo "none"; }

export LEVERET_TEST_REPORT="$work/report"
: >"$LEVERET_TEST_REPORT"

step "what the tests need" scripts/install.sh
step "servers" start_services
step "cargo fmt" cargo fmt --all --check
step "cargo clippy" cargo clippy "${features[@]}" --all-targets -- -D warnings
step "cargo check of parts" check_parts
# All of it, so that one run tells all that fails.
step "cargo test" cargo test --no-fail-fast "${features[@]}"
step "cargo doc" document
step "the book" build_book
step "cargo deny" check_dependencies
step "advisories" check_advisories
step "files over 300 lines, tests apart (not judged)" long_files
step "examples of the pages" snippets
step "conformance" conformance_table
printf '\nall passed in %s s\n' "$SECONDS"
