#!/usr/bin/env bash
# Private servers for tests on free ports of 127.0.0.1: RabbitMQ and Redis, both generations, and PostgreSQL.
#
#   scripts/services.sh up DIR      start them, write DIR/env (then: . DIR/env)
#   scripts/services.sh down DIR    stop them and remove what they wrote
#   scripts/services.sh node GENERATION DIR AMQP DISTRIBUTION NAMES PROGRAM...
#                                   run a program of RabbitMQ's, such as rabbitmqctl, for a node that a
#                                   test has for itself in DIR, on these ports; 3 = not on this machine
#   scripts/services.sh redis-node GENERATION DIR PROGRAM...
#                                   run a program of Redis's, such as redis-server, in the folder DIR; the
#                                   generation is that of RabbitMQ it belongs to; 3 = not on this machine
#   scripts/services.sh postgres DATA PORT
#                                   run a PostgreSQL server in the foreground, with its data in DATA, made at
#                                   the first start; 3 = not on this machine
#
# It installs nothing (scripts/install.sh does) and stops only processes that it started: a process id alone is
# never believed, its command line has to carry the folder or the port too.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=machine.sh source-path=SCRIPTDIR
. "$here/machine.sh"

# Start-up takes 5-12 s; a loaded machine gets ten times that before it is called a failure.
deadline_seconds=${LEVERET_TEST_UP_SECONDS:-120}

usage() {
    say "usage: scripts/services.sh up|down DIR"
    say "       scripts/services.sh node GENERATION DIR AMQP DISTRIBUTION NAMES PROGRAM..."
    say "       scripts/services.sh redis-node GENERATION DIR PROGRAM..."
    say "       scripts/services.sh postgres DATA PORT"
    exit 2
}

# Ports below the range of outgoing connections, and no server's default (25672 is RabbitMQ's).
declare -A taken=()
free_port() { # sets $port
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        port=$((21000 + (RANDOM * 32768 + RANDOM) % 4000))
        [ -z "${taken[$port]:-}" ] || continue
        port_is_open "$port" && continue
        taken[$port]=1
        return 0
    done
    die "no free port found between 21000 and 24999 on 127.0.0.1"
}

# Detaches a server from this shell and its terminal (a Ctrl-C is not for it). The script calls itself, so
# that one on the machine and one in a root start alike and the leader of the new session names its folder.
detached() { # root folder command...
    setsid "$here/services.sh" as-node "$@" </dev/null >"$2/log" 2>&1 &
    echo $! >"$2/leader"
    disown
}

# Runs a command on the machine (empty root), or inside a root where its folder is /mnt.
on() { # root folder command...
    local root=$1 folder=$2
    shift 2
    if [ -n "$root" ]; then
        inside "$root" "$folder" "$@"
    else
        cd "$folder" # crash dumps go with the folder
        "$@"
    fi
}

start_names() { # root; Erlang's name service, one for both brokers
    free_port
    names_port=$port
    mkdir "$dir/names"
    detached "$1" "$dir/names" env ERL_EPMD_ADDRESS=127.0.0.1 epmd -port "$names_port"
    # A broker that finds none starts one by itself, which nobody would stop.
    wait_until "$dir/names" port_is_open "$names_port"
}

# Sets $broker_environment: what RabbitMQ's programs are started with, so that they know this node and no other.
environment_of() { # generation root folder amqp-port distribution-port names-port
    local seen=$3
    [ -z "$2" ] || seen=/mnt
    broker_environment=(env -i
        PATH=/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME="$seen"
        RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_NODENAME="leveret$1-$4@localhost"
        RABBITMQ_NODE_PORT="$4" RABBITMQ_DIST_PORT="$5"
        ERL_EPMD_PORT="$6" ERL_EPMD_ADDRESS=127.0.0.1
        RABBITMQ_MNESIA_BASE="$seen/db" RABBITMQ_LOG_BASE="$seen/logs" RABBITMQ_PID_FILE="$seen/pid"
        RABBITMQ_ENABLED_PLUGINS_FILE="$seen/plugins" RABBITMQ_CONFIG_FILE="$seen/rabbitmq"
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} -leveret_port $4")
}

start_rabbitmq() { # generation root amqp-port api-port distribution-port
    local generation=$1 root=$2 amqp=$3 api=$4 distribution=$5 broker_environment
    local folder="$dir/rabbitmq-$generation"
    mkdir "$folder"
    echo "leveret_port $amqp" >"$folder/mark"
    cat >"$folder/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$amqp
management.tcp.ip = 127.0.0.1
management.tcp.port = $api
disk_free_limit.absolute = 50MB
collect_statistics_interval = 1000
CONF
    echo '[rabbitmq_management].' >"$folder/plugins"
    environment_of "$generation" "$root" "$folder" "$amqp" "$distribution" "$names_port"
    detached "$root" "$folder" "${broker_environment[@]}" rabbitmq-server
}

# Sets $root to where a generation is, nothing for the machine itself. It makes no root.
find_root() { # generation
    root=
    machine_has "$1" && return 0
    root=$(root_of "$(suite_of "$1")")
    if ! root_is_usable "$root" || ! can_be_root; then
        say "RabbitMQ $1 and Redis $(redis_of "$1") are not on this machine; scripts/services.sh up DIR makes them ready"
        exit 3
    fi
}

# Runs a program for a test's own node, in the foreground. It installs nothing and makes no root.
node() { # generation folder amqp-port distribution-port names-port program...
    local generation=$1 folder=$2 amqp=$3 distribution=$4 names=$5 root broker_environment
    shift 5
    find_root "$generation"
    environment_of "$generation" "$root" "$folder" "$amqp" "$distribution" "$names"
    on "$root" "$folder" "${broker_environment[@]}" "$@"
}

# The same for a program of the Redis that belongs to a generation.
redis_node() { # generation folder program...
    local generation=$1 folder=$2 root
    shift 2
    find_root "$generation"
    on "$root" "$folder" "$@"
}

start_redis() { # version root port
    local version=$1 root=$2 listen=$3 folder="$dir/redis-$1" seen
    mkdir "$folder"
    echo "127.0.0.1:$listen" >"$folder/mark"
    seen=$folder
    [ -z "$root" ] || seen=/mnt
    detached "$root" "$folder" \
        redis-server --bind 127.0.0.1 --port "$listen" --dir "$seen" --pidfile "$seen/pid" \
        --save '' --appendonly yes --maxmemory-policy noeviction
}

# Becomes a PostgreSQL server. It refuses to be root, so root's one belongs to the user that its package made, and
# its data to a folder that this user can reach.
postgres() { # data port
    local data=$1 listen=$2 programs user=()
    if ! programs=$(postgres_programs); then
        say "PostgreSQL is not on this machine; scripts/install.sh installs it"
        exit 3
    fi
    if [ "$(id -u)" = 0 ]; then
        chown postgres: "$data"
        user=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    fi
    cd "$data"
    # What a process is killed at is no loss of the machine's: nothing has to reach the disk.
    [ -e "$data/PG_VERSION" ] || "${user[@]}" "$programs/initdb" --pgdata="$data" --username=leveret --auth=trust \
        --encoding=UTF8 --no-locale --no-sync >&2
    exec "${user[@]}" "$programs/postgres" -D "$data" -p "$listen" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync=off -c max_connections=200 -c shared_buffers=32MB
}

start_postgres() { # port; its data cannot be in a folder that only root can enter
    local folder="$dir/postgres"
    mkdir "$folder"
    mktemp -d "${TMPDIR:-/tmp}/leveret-postgres.XXXXXX" >"$folder/data"
    detached '' "$folder" "$here/services.sh" postgres "$(cat "$folder/data")" "$1"
}

postgres_is_up() { # port
    "$(postgres_programs)/pg_isready" --quiet --host=127.0.0.1 --port="$1"
}

port_is_open() { # port
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Asks the management API; it answers once the broker has started its listeners.
api_says_ok() { # port path
    local line
    exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf 'GET %s HTTP/1.0\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n\r\n' "$2" >&3
    read -r -t 5 line <&3 && [[ $line == *' 200 '* ]]
}

rabbitmq_is_up() { # amqp-port api-port
    (api_says_ok "$2" "/api/health/checks/port-listener/$1") 2>/dev/null &&
        (api_says_ok "$2" /api/health/checks/local-alarms) 2>/dev/null
}

redis_is_up() { # port
    local line
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
        printf 'PING\r\n' >&3
        read -r -t 5 line <&3 && [[ $line == +PONG* ]]
    ) 2>/dev/null
}

wait_until() { # folder question...
    local folder=$1 end=$((SECONDS + deadline_seconds))
    shift
    until "$@"; do
        if ((SECONDS >= end)) || [ ! -d "/proc/$(cat "$folder/leader")" ]; then
            say "$(basename "$folder") ended, or did not answer within $deadline_seconds s. Its log ends:"
            tail -n 30 "$folder/log" >&2
            return 1
        fi
        sleep 0.1
    done
    say "$(basename "$folder") answers after $SECONDS s"
}

# Sets $root to the Debian root of a generation, or to nothing where the machine's own packages are it.
choose_root() {
    local generation=$1 suite
    root=
    machine_has "$generation" && return 0
    suite=$(suite_of "$generation")
    make_root "$suite" || return 1
    root=$(root_of "$suite")
}

up() {
    local generation version amqp api store distribution started=() check
    [ ! -e "$dir/names" ] || die "$dir is in use: run scripts/services.sh down $dir first"
    mkdir -p "$dir"
    trap down EXIT # until all of them answer
    trap 'exit 1' INT TERM
    ulimit -n 65536 2>/dev/null || true
    : >"$dir/env.new"
    for generation in 3 4; do
        if ! choose_root "$generation"; then
            [ "${CI:-}" != true ] || die "RabbitMQ $generation cannot run here, and CI=true allows no gap"
            say "SKIPPED: RabbitMQ $generation and Redis $(redis_of "$generation") cannot run here (reason above)"
            continue
        fi
        [ -n "${names_port:-}" ] || start_names "$root"
        version=$(redis_of "$generation")
        free_port && amqp=$port
        free_port && api=$port
        free_port && distribution=$port
        free_port && store=$port
        start_rabbitmq "$generation" "$root" "$amqp" "$api" "$distribution"
        start_redis "$version" "$root" "$store"
        cat >>"$dir/env.new" <<ENV
export LEVERET_TEST_RABBITMQ_$generation=amqp://guest:guest@127.0.0.1:$amqp
export LEVERET_TEST_RABBITMQ_${generation}_API=http://guest:guest@127.0.0.1:$api
export LEVERET_TEST_REDIS_$version=redis://127.0.0.1:$store
ENV
        started+=("rabbitmq-$generation rabbitmq_is_up $amqp $api" "redis-$version redis_is_up $store")
    done
    if postgres_programs >/dev/null; then
        free_port
        start_postgres "$port"
        echo "export LEVERET_TEST_POSTGRES=postgresql://leveret@127.0.0.1:$port" >>"$dir/env.new"
        started+=("postgres postgres_is_up $port")
    else
        [ "${CI:-}" != true ] || die "PostgreSQL is not on this machine, and CI=true allows no gap"
        say "SKIPPED: PostgreSQL is not on this machine"
    fi
    for check in ${started[@]+"${started[@]}"}; do
        # shellcheck disable=SC2086 # a row of the table above: folder, question, ports
        wait_until "$dir/"$check || exit 1
    done
    mv "$dir/env.new" "$dir/env"
    trap - EXIT
}

# Kills a process (-ID: its whole group) while its command line still carries the mark.
kill_marked() { # pid target mark
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        [ -r "/proc/$1/cmdline" ] && tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- "$3" || return 0
        kill -KILL -- "$2" 2>/dev/null || as_root kill -KILL -- "$2" 2>/dev/null || true
        sleep 0.05
    done
    say "process $1 ($3) could not be stopped"
}

# Stops one server. Nothing of it is worth a clean end. The group is enough, except below a sudo that gave
# its child a terminal of its own: hence the server's own pid file too.
stop() { # folder
    local id
    id=$(cat "$1/leader" 2>/dev/null || true)
    [ -z "$id" ] || kill_marked "$id" "-$id" "$1"
    id=$(tr -cd 0-9 2>/dev/null <"$1/pid" || true)
    [ -z "$id" ] || kill_marked "$id" "$id" "$(cat "$1/mark")"
}

down() {
    local folder
    for folder in "$dir"/rabbitmq-[0-9] "$dir"/redis-[0-9] "$dir/names"; do
        [ -d "$folder" ] || continue
        stop "$folder"
        rm -rf "$folder" 2>/dev/null || as_root rm -rf --one-file-system "$folder"
    done
    if [ -d "$dir/postgres" ]; then
        stop "$dir/postgres"
        rm -rf "$(cat "$dir/postgres/data")" "$dir/postgres"
    fi
    rm -f "$dir/env" "$dir/env.new"
    rmdir "$dir" 2>/dev/null || true
}

[ $# -ge 2 ] || usage
case $1 in
    node)
        [ $# -ge 7 ] || usage
        shift
        node "$@"
        ;;
    redis-node)
        [ $# -ge 4 ] || usage
        shift
        redis_node "$@"
        ;;
    postgres)
        [ $# = 3 ] || usage
        postgres "$2" "$3"
        ;;
    as-node)
        shift
        on "$@"
        ;;
    up | down)
        [ $# = 2 ] || usage
        mkdir -p "$2"
        dir=$(cd "$2" && pwd)
        "$1"
        ;;
    *) usage ;;
esac
