# shellcheck shell=bash
# What the tests may use of this machine: the cache folder, root's rights, and where a generation of the
# servers runs from (the installed packages or a Debian root folder). Sourced; starts nothing itself.
# A root is entered in a mount namespace of its own: its mounts end with its processes, so removing a
# cached root can never reach the machine's /proc or /dev.

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Whether commands can run as root here without asking a person who is not there.
can_be_root() {
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null && return 0
    [ -t 0 ] && [ "${CI:-}" != true ]
}

cache_dir() { printf '%s\n' "${LEVERET_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/leveret}"; }

# Where cargo-deny is installed when it is not on PATH. The version is pinned: its findings must not drift.
deny_version=0.20.2
deny_home() { printf '%s\n' "$(cache_dir)/cargo-deny-$deny_version"; }

# Where mdbook is installed when it is not on PATH; the version is pinned, as what it takes for a mistake differs.
mdbook_version=0.5.4
mdbook_home() { printf '%s\n' "$(cache_dir)/mdbook-$mdbook_version"; }

# The Redis version that belongs to a RabbitMQ generation.
redis_of() {
    case $1 in
        3) echo 7 ;;
        4) echo 8 ;;
        *) die "unknown RabbitMQ generation $1: it is 3 or 4" ;;
    esac
}

# The Debian release whose packages are that generation (3.10.8 + 7.0, 4.0.5 + 8.0).
suite_of() {
    case $1 in
        3) echo bookworm ;;
        4) echo trixie ;;
        *) die "unknown RabbitMQ generation $1: it is 3 or 4" ;;
    esac
}

# The folder of a Debian root. LEVERET_TEST_BOOKWORM and LEVERET_TEST_TRIXIE name one made elsewhere.
root_of() {
    local suite=$1 given
    case $suite in
        bookworm) given=${LEVERET_TEST_BOOKWORM:-} ;;
        *) given=${LEVERET_TEST_TRIXIE:-} ;;
    esac
    printf '%s\n' "${given:-$(cache_dir)/$suite}"
}

root_is_usable() {
    [ -x "$1/usr/lib/rabbitmq/bin/rabbitmq-server" ] && [ -x "$1/usr/bin/redis-server" ]
}

# Whether the packages installed on this machine are of the asked generation.
machine_has() {
    local generation=$1 broker store
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && command -v redis-server >/dev/null || return 1
    command -v dpkg-query >/dev/null || return 1
    broker=$(dpkg-query -W -f '${Version}' rabbitmq-server 2>/dev/null) || return 1
    store=$(redis-server --version | sed -n 's/.* v=\([0-9]*\)\..*/\1/p')
    [ "${broker%%.*}" = "$generation" ] && [ "$store" = "$(redis_of "$generation")" ]
}

# Prints the folder of PostgreSQL's server programs, the newest one's where there are several.
postgres_programs() {
    local folder
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    [ -x "$folder/postgres" ] || folder=$(dirname "$(command -v postgres || echo /nowhere)")
    [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] && printf '%s\n' "$folder"
}

# Makes a Debian root with both servers; about half a minute, once. A half-made one never gets the name.
make_root() {
    local suite=$1 root new script=
    root=$(root_of "$suite")
    root_is_usable "$root" && return 0
    command -v debootstrap >/dev/null || { say "debootstrap is not installed"; return 1; }
    command -v unshare >/dev/null || { say "unshare (util-linux) is not installed"; return 1; }
    can_be_root || { say "a Debian root needs root or sudo"; return 1; }
    mkdir -p "$(dirname "$root")" || return 1
    (
        flock 8
        root_is_usable "$root" && exit 0
        new="$root.new"
        say "making the $suite root in $root (once, about 40 s)"
        as_root rm -rf --one-file-system "$new" "$root"
        [ -e "/usr/share/debootstrap/scripts/$suite" ] || script=sid
        # Where the mirror is empty debootstrap knows its own; the script follows it, so it is all or none.
        set -- --variant=minbase --include=rabbitmq-server,redis-server "$suite" "$new"
        [ -n "${LEVERET_TEST_MIRROR:-}" ] && set -- "$@" "$LEVERET_TEST_MIRROR" ${script:+"$script"}
        if ! as_root debootstrap "$@" >"$root.log" 2>&1; then
            say "failed to make the $suite root; LEVERET_TEST_MIRROR names another Debian mirror. Its log ends:"
            tail -n 15 "$root.log" >&2
            exit 1
        fi
        # Erlang looks for "localhost" here, and not every release brings the file.
        echo '127.0.0.1 localhost' | as_root tee "$new/etc/hosts" >/dev/null
        as_root mv "$new" "$root"
    ) 8>"$root.lock"
}

# Runs a command inside a root, with the given folder as its /mnt and working directory.
inside() {
    local root=$1 folder=$2
    shift 2
    # shellcheck disable=SC2016 # the inner shell expands them
    as_root unshare --mount --propagation private sh -eu -c '
        root=$1 folder=$2
        shift 2
        mount --bind "$folder" "$root/mnt"
        mount --bind /proc "$root/proc"
        mount --bind /dev "$root/dev"
        exec chroot "$root" env -C /mnt "$@"
    ' sh "$root" "$folder" "$@"
}
