#!/usr/bin/env bash
# Feeds the decoders with bytes that coverage leads, and says what was found.
#
#   scripts/fuzz.sh [-s SECONDS] [TARGET...]   every target for so long (60), or these (fuzz/fuzz_targets/)
#
# Works with the stable toolchain: coverage is LLVM's, and no sanitizer is asked for, because the code has no unsafe.
# cargo-fuzz is installed where it is missing, into the cache folder. Each target begins with what the repository
# holds already (golden messages, examples of pages, tests) and goes on from what earlier runs kept in the cache. What
# it finds is written to fuzz/artifacts/TARGET; give that file to the target's program, and it happens again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=machine.sh source-path=SCRIPTDIR
. scripts/machine.sh

# The version is pinned: how it builds is part of what was tried.
fuzz_version=0.13.2
triple=$(rustc -vV | sed -n 's/^host: //p')
home="$(cache_dir)/cargo-fuzz-$fuzz_version"
corpus="$(cache_dir)/corpus"
built="${CARGO_TARGET_DIR:-target}/fuzz"

usage() {
    say "usage: scripts/fuzz.sh [-s SECONDS] [TARGET...]"
    exit 2
}

seconds=60
while getopts s: option; do
    case $option in
    s) seconds=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
case $seconds in
'' | *[!0-9]*) usage ;;
esac

mapfile -t known < <(cd fuzz/fuzz_targets && printf '%s\n' *.rs | sed 's/\.rs$//')
targets=("$@")
[ $# -gt 0 ] || targets=("${known[@]}")
for target in "${targets[@]}"; do
    [ -e "fuzz/fuzz_targets/$target.rs" ] || die "there is no target $target; there are: ${known[*]}"
done

install_fuzz() {
    PATH="$home/bin:$PATH"
    case $(cargo fuzz --version 2>/dev/null) in *" $fuzz_version") return 0 ;; esac
    say "installing cargo-fuzz $fuzz_version into $home (once, about a minute)"
    cargo install --quiet --locked --root "$home" "cargo-fuzz@$fuzz_version"
}

# The figure behind a word in libFuzzer's last line.
figure() { # word log
    sed -n "s/.*$1: *\([0-9]*\).*/\1/p" "$2" | tail -n 1
}

failures=()
run() { # target
    local target=$1 found="fuzz/artifacts/$1" log
    log="$work/$target.log"
    mkdir -p "$corpus/$target" "$found"
    # Five seconds are a hundred times what any input may take.
    if "$built/$triple/release/$target" "$corpus/$target" -artifact_prefix="$found/" -max_total_time="$seconds" \
        -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
        printf '| %s | %s | %s | nothing |\n' "$target" "$(figure 'stat::number_of_executed_units' "$log")" \
            "$(figure 'cov' "$log")"
        return 0
    fi
    failures+=("$target")
    printf '| %s | %s | %s | %s |\n' "$target" "$(sed -n 's/^#\([0-9]*\).*/\1/p' "$log" | tail -n 1)" \
        "$(figure 'cov' "$log")" "$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)"
    grep -m 1 -A 4 -E 'panicked at|ERROR: libFuzzer' "$log" >&2 || tail -n 20 "$log" >&2
}

work=$(mktemp -d "${TMPDIR:-/tmp}/leveret-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

install_fuzz
say "building the targets"
mkdir -p "$built"
built=$(cd "$built" && pwd)
(cd fuzz && cargo fuzz build --sanitizer none --target-dir "$built" >"$work/build.log" 2>&1) || {
    cat "$work/build.log" >&2
    die "the targets do not build"
}
mkdir -p "$corpus"
export LEVERET_FUZZ_CORPUS="$corpus"
# What a target writes for itself goes with this run.
export TMPDIR="$work"
printf '| target | inputs | edges | found |\n| --- | --- | --- | --- |\n'
for target in "${targets[@]}"; do
    run "$target"
done
if [ ${#failures[@]} -gt 0 ]; then
    say "found something: ${failures[*]}; it is in fuzz/artifacts"
    exit 1
fi
say "nothing found, in $SECONDS s"
