#!/usr/bin/env bash
# Builds and runs what this folder ships, as far as a machine without a Docker engine can: as root, with buildah,
# debootstrap, docker-compose (for its checker), systemd-analyze, systemd-nspawn, PostgreSQL, sqlite3 and this machine's
# Rust toolchain.
#
#   docker/prove.sh DIR        keeps bases, image and logs in DIR (about 6 GB), so that a second run is quick;
#                              with REUSE=1 in the environment it takes the image that is there
#
# The bases are made of Debian packages here, in the place of those that the Dockerfile names: a compiler with this
# machine's toolchain, and a root with the C library and certificates, which is what distroless/cc is. What runs is
# the image's own root, read-only, as user 65532. Broker and store are Debian's, with the files of this folder; so is the
# PostgreSQL of an application that has an outbox.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(dirname "$here")
[ $# = 1 ] || { echo "usage: docker/prove.sh DIR" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "docker/prove.sh mounts and changes roots: run it as root" >&2; exit 1; }
for program in buildah debootstrap docker-compose systemd-analyze systemd-nspawn openssl rustc rabbitmqctl redis-server psql sqlite3; do
    command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 1; }
done
mkdir -p "$1"
dir=$(cd "$1" && pwd)
chroot=$(command -v chroot)
jobs=${CARGO_BUILD_JOBS:-$(nproc)}
# An image store of its own.
export CONTAINERS_STORAGE_CONF=$dir/storage.conf BUILDAH_ISOLATION=chroot BUILDAH_FORMAT=docker
printf '[storage]\ndriver = "overlay"\nrunroot = "%s/run"\ngraphroot = "%s/storage"\n' "$dir" "$dir" >"$dir/storage.conf"

step() { printf '\n== %s\n' "$*"; }

# --- bases -------------------------------------------------------------------------------------------------------

make_roots() {
    [ -e "$dir/roots.made" ] && return 0
    step "making the bases' roots"
    rm -rf --one-file-system "$dir/builder" "$dir/runtime" "$dir/debs"
    debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates trixie "$dir/builder" >"$dir/debootstrap.log" 2>&1
    cp "$dir/builder/etc/ssl/certs/ca-certificates.crt" "$dir/certificates"
    # This machine's compiler, where the official image has its own.
    mkdir -p "$dir/builder/usr/local/rust"
    tar -C "$(rustc --print sysroot)" --exclude=share --exclude=lib/rustlib/src -cf - . |
        tar -C "$dir/builder/usr/local/rust" -xf -
    mkdir -p "$dir/debs" "$dir/runtime"
    cp /etc/resolv.conf "$dir/builder/etc/resolv.conf"
    # Where this machine trusts more than Debian does, downloads in the builder need that too.
    [ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp /etc/ssl/certs/ca-certificates.crt "$dir/builder/etc/ssl/certs/"
    chroot "$dir/builder" sh -c 'cd /tmp && apt-get download -q libc6 libgcc-s1 tzdata netbase' >>"$dir/debootstrap.log" 2>&1
    # Debian's folders are links into /usr.
    mkdir -p "$dir/runtime/usr/lib" "$dir/runtime/usr/lib64" "$dir/runtime/usr/bin" "$dir/runtime/usr/sbin"
    for folder in lib lib64 bin sbin; do ln -s "usr/$folder" "$dir/runtime/$folder"; done
    for package in "$dir"/builder/tmp/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -C "$dir/runtime" --keep-directory-symlink -xf -; done
    rm -rf "$dir"/builder/tmp/*.deb "$dir/runtime/usr/share/doc" "$dir/runtime/usr/share/lintian"
    mkdir -p "$dir/runtime/etc/ssl/certs" "$dir/runtime/tmp" "$dir/runtime/proc" "$dir/runtime/dev" "$dir/runtime/sys"
    cp "$dir/certificates" "$dir/runtime/etc/ssl/certs/ca-certificates.crt"
    chmod 1777 "$dir/runtime/tmp"
    printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$dir/runtime/etc/passwd"
    printf 'root:x:0:\nnonroot:x:65532:\n' >"$dir/runtime/etc/group"
    printf 'hosts: files dns\n' >"$dir/runtime/etc/nsswitch.conf"
    touch "$dir/roots.made"
}

import() { # name root setting...
    local container name=$1 root=$2
    shift 2
    buildah images --format '{{.Name}}' | grep -q "/$name\$" && return 0
    step "importing $name"
    container=$(buildah from scratch)
    buildah add -q "$container" "$root" / >/dev/null
    [ $# = 0 ] || buildah config "$@" "$container"
    buildah commit -q "$container" "$name" >/dev/null
    buildah rm "$container" >/dev/null
}

# --- the image ---------------------------------------------------------------------------------------------------

build() {
    if [ "${REUSE:-}" = 1 ] && buildah images leveret:proof >/dev/null 2>&1; then
        step "taking the image that is there"
        return 0
    fi
    step "building the image"
    rm -rf "$dir/tree"
    mkdir "$dir/tree"
    # What a clean clone would have, with what is not committed yet.
    (cd "$tree" && git ls-files -co --exclude-standard -z | tar --null --ignore-failed-read -T - -cf - 2>/dev/null) | tar -C "$dir/tree" -xf -
    (cd "$dir/tree" && time buildah bud --network host -f docker/Dockerfile --build-arg BUILDER=localhost/leveret-builder \
        --build-arg RUNTIME=localhost/leveret-runtime -t leveret:proof .) 2>&1 | tee "$dir/build.log" | grep -vE '^ +(Compiling|Downloaded|Downloading)' | tail -n 30
    buildah images | grep -E 'leveret|SIZE'
    buildah inspect --type image \
        --format 'user {{.Docker.Config.User}}, {{.Docker.Config.Entrypoint}}, health check {{.Docker.Config.Healthcheck}}' leveret:proof
}

# Mounts the image's root read-only, with a folder for data, and leaves it at $root.
mount_image() {
    container=$(buildah from leveret:proof)
    root=$dir/root
    mkdir -p "$root" "$dir/data"
    chown 65532:65532 "$dir/data"
    mount --bind "$(buildah mount "$container")" "$root"
    mount -o remount,bind,ro "$root"
    mount --bind "$dir/data" "$root/var/lib/leveret"
    # Follow-ups of programs pass through a file there.
    mount -t tmpfs -o size=16m,mode=1777 tmpfs "$root/tmp"
}

unmount_image() {
    umount "$root/tmp" "$root/var/lib/leveret" "$root" 2>/dev/null || true
    buildah umount "$container" >/dev/null 2>&1 || true
    buildah rm "$container" >/dev/null 2>&1 || true
}

# Runs the image's program as its user, with nothing of this shell's environment.
leveret() {
    env -i "$chroot" --userspec=65532:65532 "$root" /usr/local/bin/leveret "$@"
}

wait_for() { # what command...
    local what=$1 end=$((SECONDS + 120))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || { echo "$what does not come" >&2; "$@" >&2 || true; exit 1; }
        sleep 0.3
    done
}

started=()
stop_all() {
    local process
    for process in ${started[@]+"${started[@]}"}; do kill "$process" 2>/dev/null || true; done
    for process in ${started[@]+"${started[@]}"}; do wait "$process" 2>/dev/null || true; done
    started=()
}

run_alone() {
    step "running the image alone: embedded, root read-only, user 65532"
    ls -la "$root/usr/local/bin"
    [ ! -e "$root/bin/sh" ] && echo "no shell"
    du -sh --apparent-size "$root" 2>/dev/null | sed 's/\t.*/ in all/'
    rm -f "$dir"/data/leveret.*
    env -i "$chroot" --userspec=65532:65532 "$root" /usr/local/bin/leveret dev --listen 127.0.0.1:27878 \
        --data /var/lib/leveret >"$dir/dev.log" 2>&1 &
    started+=($!)
    local process=$!
    wait_for "readiness" leveret probe dev --listen 127.0.0.1:27878
    leveret probe --listen 127.0.0.1:27878 --worker-listen off --beat-listen off
    leveret task enqueue demo.echo --args '{"hello":"image"}' --wait 30s --gateway-url http://127.0.0.1:27878 -o json
    if (: >"$root/usr/local/written") 2>/dev/null; then echo "the root is not read-only" >&2; exit 1; fi
    stat -c 'data belongs to %u:%g' "$dir/data/leveret.db"
    kill -TERM "$process"
    wait "$process"
    echo "drained, exit code 0"
    started=()
}

# --- with servers, as compose.yaml puts them together ----------------------------------------------------------------

amqp=27672 names=27674 redis=27379
outbox=postgresql://shop_relay@127.0.0.1:27543/shop

start_servers() {
    step "starting RabbitMQ and Redis with the files of this folder"
    local fleet=$dir/fleet
    rm -rf "$fleet"
    mkdir -p "$fleet/definitions.d" "$fleet/store"
    BROKER=127.0.0.1:$amqp STORE=127.0.0.1:$redis OUTBOX=$outbox "$here/setup.sh" "$fleet/secrets"
    cp "$here/rabbitmq/topology.json" "$fleet/definitions.d/10-topology.json"
    cp "$fleet/secrets/rabbitmq-users.json" "$fleet/definitions.d/20-users.json"
    cp "$here/rabbitmq/enabled_plugins" "$fleet/enabled_plugins"
    sed -e "s|^listeners.tcp.default = 5672|listeners.tcp.1 = 127.0.0.1:$amqp|" \
        -e "s|/etc/rabbitmq/definitions.d|$fleet/definitions.d|" -e 's|= 2GB|= 100MB|' \
        "$here/rabbitmq/rabbitmq.conf" >"$fleet/rabbitmq.conf"
    printf 'prometheus.tcp.port = 27692\nprometheus.tcp.ip = 127.0.0.1\n' >>"$fleet/rabbitmq.conf"
    setsid "${broker[@]}" /usr/lib/rabbitmq/bin/rabbitmq-server >"$fleet/broker.log" 2>&1 &
    started+=($!)
    sed -e "s|/etc/redis/users.acl|$fleet/users.acl|" -e "s|^dir /data|dir $fleet/store|" \
        "$here/redis/redis.conf" >"$fleet/redis.conf"
    cp "$fleet/secrets/redis-users.acl" "$fleet/users.acl"
    redis_accepts "$fleet/users.acl"
    redis-server "$fleet/redis.conf" --port $redis --bind 127.0.0.1 >"$fleet/store.log" 2>&1 &
    started+=($!)
    wait_for "the store" bash -c "redis-cli -p $redis ping | grep -q PONG"
    wait_for "the broker" bash -c "exec 3<>/dev/tcp/127.0.0.1/$amqp"
    echo "users at the broker: $("${broker[@]}" rabbitmqctl -q list_users --no-table-headers | cut -f1 | sort | tr '\n' ' ')"
}

# What RabbitMQ's programs are started with, so that they know this node and no other.
broker=(env -i PATH=/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME="$dir/fleet"
    RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_NODENAME=proof@localhost RABBITMQ_NODE_PORT="$amqp"
    RABBITMQ_DIST_PORT=27673 ERL_EPMD_PORT="$names" ERL_EPMD_ADDRESS=127.0.0.1
    RABBITMQ_MNESIA_BASE="$dir/fleet/db" RABBITMQ_LOG_BASE="$dir/fleet/logs" RABBITMQ_PID_FILE="$dir/fleet/pid"
    RABBITMQ_ENABLED_PLUGINS_FILE="$dir/fleet/enabled_plugins" RABBITMQ_CONFIG_FILE="$dir/fleet/rabbitmq")

stop_servers() {
    [ -e "$dir/fleet/pid" ] || return 0
    "${broker[@]}" timeout 30 rabbitmqctl -q stop >/dev/null 2>&1 || kill "$(cat "$dir/fleet/pid")" 2>/dev/null || true
    rm -f "$dir/fleet/pid"
    # The name service that the broker started.
    "${broker[@]}" epmd -port $names -kill >/dev/null 2>&1 || true
}

run_fleet() {
    step "running gateway, two beats, two workers and a relay of the image on them"
    local fleet=$dir/fleet process
    rm -rf "$dir/data/fleet"
    mkdir -p "$dir/data/fleet"
    cp "$here/leveret.toml" "$here/schedules.toml" "$fleet"/secrets/* "$dir/data/fleet/"
    sed -i 's|/etc/leveret/schedules.toml|/var/lib/leveret/fleet/schedules.toml|' "$dir/data/fleet/leveret.toml"
    start_role gateway 27878 --listen 127.0.0.1:27878 --gateway-token-file /var/lib/leveret/fleet/gateway-tokens
    start_role worker 27881 --worker-listen 127.0.0.1:27881
    start_role worker 27882 --worker-listen 127.0.0.1:27882
    start_role beat 27883 --beat-listen 127.0.0.1:27883
    start_role beat 27884 --beat-listen 127.0.0.1:27884
    start_role relay 27885 --relay-listen 127.0.0.1:27885
    ask task enqueue demo.version --delay 1s --wait 30s -o json
    sell from-a-row
    wait_for "the task of a committed row" ask task show from-a-row
    ask task wait from-a-row --timeout 30s -o json
    wait_for "the end of that row" is_sold
    ask worker list
    ask schedule list
    # A beat says that it leads a little after it does.
    wait_for "a healthy doctor" ask doctor
    ask doctor
    for process in "${roles[@]}"; do kill -TERM "$process"; done
    for process in "${roles[@]}"; do wait "$process" || { echo "a role ended with $?" >&2; exit 1; }; done
    echo "all roles drained, exit code 0"
}

# An application with an outbox in PostgreSQL, and the role of its relay.
start_shop() {
    step "starting PostgreSQL with a shop that has an outbox"
    # Its user cannot enter each folder that root can.
    shop=$(mktemp -d /tmp/leveret-shop.XXXXXX)
    "$tree/scripts/services.sh" postgres "$shop" 27543 >"$dir/fleet/shop.log" 2>&1 &
    started+=($!)
    wait_for "the shop's database" in_shop postgres -c 'select 1'
    in_shop postgres -c 'create database shop'
    { leveret relay schema --for postgres; echo 'create role shop_relay login; grant select, update, delete on leveret_outbox to shop_relay;'; } |
        in_shop shop
}

in_shop() { # database argument...
    local database=$1
    shift
    psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 "$@" "postgresql://leveret@127.0.0.1:27543/$database"
}

sell() { # id
    in_shop shop -c "select leveret_enqueue('demo.version', '{}', jsonb_build_object('id', '$1'))" >/dev/null
}

is_sold() {
    [ "$(in_shop shop -c 'select count(*) from leveret_outbox')" = 0 ]
}

# The same in an SQLite file, with a row that waits.
make_file() { # folder owner id
    mkdir -p "$1"
    {
        echo 'pragma journal_mode = wal;'
        leveret relay schema --for sqlite
        printf "insert into leveret_outbox (kind, options) values ('demo.version', '{\"id\": \"%s\"}');\n" "$3"
    } | sqlite3 -bail "$1/shop.db" >/dev/null
    chown -R "$2:$2" "$1"
}

ask() {
    env -i LEVERET_GATEWAY_TOKEN="$(cat "$dir/fleet/secrets/gateway-tokens")" "$chroot" --userspec=65532:65532 "$root" \
        /usr/local/bin/leveret "$@" --gateway-url http://127.0.0.1:27878
}

# --- the units, below a systemd of their own ---------------------------------------------------------------------

run_units() {
    step "running the units below systemd"
    local machine=$dir/machine unit
    if [ ! -e "$dir/machine.made" ]; then
        rm -rf --one-file-system "$machine"
        debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus trixie "$machine" >"$dir/machine.log" 2>&1
        touch "$dir/machine.made"
    fi
    install -m 0755 "$root/usr/local/bin/leveret" "$machine/usr/local/bin/leveret"
    rm -rf "$machine"/etc/systemd/system/leveret-*
    install -m 0644 "$here"/systemd/*.service "$machine/etc/systemd/system/"
    rm -rf "$machine/etc/leveret"
    install -d -m 0755 "$machine/etc/leveret"
    install -d -m 0700 "$machine/etc/leveret/credentials"
    install -m 0600 "$dir"/fleet/secrets/*-url "$dir/fleet/secrets/gateway-tokens" "$machine/etc/leveret/credentials/"
    install -m 0644 "$here/leveret.toml" "$here/schedules.toml" "$machine/etc/leveret/"
    # Impatient, so that a proof is short.
    for unit in leveret-gateway.service leveret-beat.service leveret-worker@.service leveret-relay@.service; do
        mkdir -p "$machine/etc/systemd/system/$unit.d"
        printf '[Service]\nWatchdogSec=4s\nTimeoutAbortSec=2s\n' >"$machine/etc/systemd/system/$unit.d/proof.conf"
    done
    printf '[Service]\nEnvironment=LEVERET_GATEWAY_LISTEN=127.0.0.1:27878\n' \
        >>"$machine/etc/systemd/system/leveret-gateway.service.d/proof.conf"
    printf '[Service]\nEnvironment=LEVERET_BEAT_LISTEN=127.0.0.1:27883\n' \
        >>"$machine/etc/systemd/system/leveret-beat.service.d/proof.conf"
    # Two outboxes, as the page on deployment says: one behind a server, one in a file that belongs to a user.
    sell from-the-shop
    install -m 0600 "$dir/fleet/secrets/relay-outbox-url" "$machine/etc/leveret/credentials/relay-shop-outbox-url"
    echo LEVERET_RELAY_LISTEN=127.0.0.1:27885 >"$machine/etc/leveret/relay-shop.env"
    grep -q '^shop:' "$machine/etc/passwd" || printf 'shop:x:900:900::/var/lib/shop:/usr/sbin/nologin\n' >>"$machine/etc/passwd"
    grep -q '^shop:' "$machine/etc/group" || printf 'shop:x:900:\n' >>"$machine/etc/group"
    rm -rf "$machine/var/lib/shop"
    make_file "$machine/var/lib/shop" 900 from-a-file
    echo sqlite:///var/lib/shop/shop.db >"$machine/etc/leveret/credentials/relay-file-outbox-url"
    chmod 0600 "$machine/etc/leveret/credentials/relay-file-outbox-url"
    echo LEVERET_RELAY_LISTEN=127.0.0.1:27886 >"$machine/etc/leveret/relay-file.env"
    mkdir -p "$machine/etc/systemd/system/leveret-relay@file.service.d"
    printf '[Service]\nDynamicUser=no\nUser=shop\nReadWritePaths=/var/lib/shop\n' \
        >"$machine/etc/systemd/system/leveret-relay@file.service.d/override.conf"
    install -m 0755 "$here/systemd/proof.sh" "$machine/proof.sh"
    printf '[Unit]\nAfter=multi-user.target\nSuccessAction=exit-force\nFailureAction=exit-force\n[Service]\nType=oneshot\nExecStart=/proof.sh\nStandardOutput=file:/proof.log\nStandardError=file:/proof.log\nTimeoutStartSec=240\n' \
        >"$machine/etc/systemd/system/proof.service"
    mkdir -p "$machine/etc/systemd/system/default.target.wants"
    ln -sf ../proof.service "$machine/etc/systemd/system/default.target.wants/proof.service"
    rm -f "$machine/proof.log" "$machine/proof.passed"
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 timeout --kill-after 20 300 systemd-nspawn -q -D "$machine" --register=no --keep-unit --boot \
        >"$dir/machine.out" 2>&1 </dev/null || true
    cat "$machine/proof.log"
    [ -e "$machine/proof.passed" ] || { echo "the units are not proved; see $dir/machine.out" >&2; exit 1; }
    if ! is_sold || [ "$(sqlite3 "$machine/var/lib/shop/shop.db" 'select count(*) from leveret_outbox')" != 0 ]; then
        echo "a committed row lies there still" >&2
        exit 1
    fi
}

# Redis before 7.2 does not know one of the commands that the file names.
redis_accepts() { # acl
    case $(redis-server --version) in
        *v=7.0.*) sed -i 's/ +client|setinfo//' "$1" ;;
    esac
}

roles=()
start_role() { # role port argument...
    local role=$1 port=$2
    shift 2
    local more=()
    [ "$role" != relay ] || more=(LEVERET_OUTBOX_URL_FILE=/var/lib/leveret/fleet/relay-outbox-url)
    env -i LEVERET_BROKER_URL_FILE="/var/lib/leveret/fleet/$role-broker-url" LEVERET_STORE_URL_FILE="/var/lib/leveret/fleet/$role-store-url" \
        ${more[@]+"${more[@]}"} "$chroot" --userspec=65532:65532 "$root" /usr/local/bin/leveret "$role" --config /var/lib/leveret/fleet/leveret.toml "$@" \
        >"$dir/fleet/$role-$port.log" 2>&1 &
    roles+=($!)
    started+=($!)
    case $role in
        gateway) wait_for "the gateway" leveret probe gateway --listen "127.0.0.1:$port" ;;
        worker) wait_for "worker $port" leveret probe worker --worker-listen "127.0.0.1:$port" ;;
        beat) wait_for "beat $port" leveret probe beat --beat-listen "127.0.0.1:$port" ;;
        relay) wait_for "the relay" leveret probe relay --relay-listen "127.0.0.1:$port" ;;
    esac
    echo "$role on $port is ready"
}

# --- what is only checked --------------------------------------------------------------------------------------------

check_compose() {
    step "checking compose.yaml"
    rm -rf "$dir/compose"
    cp -r "$here" "$dir/compose"
    rm -rf "$dir/compose/secrets"
    OUTBOX=postgresql://shop_relay:password@db.internal:5432/shop "$dir/compose/setup.sh" "$dir/compose/secrets"
    docker-compose -f "$dir/compose/compose.yaml" --profile relay config >"$dir/compose.resolved"
    grep -qE '^  relay:$' "$dir/compose.resolved"
    echo "docker-compose takes it: $(grep -cE '^  [a-z]+:$' "$dir/compose.resolved") names, $(wc -l <"$dir/compose.resolved") lines"
}

check_units() {
    step "checking the units"
    local folder=$dir/units unit
    rm -rf "$folder"
    mkdir "$folder"
    for unit in "$here"/systemd/*.service; do
        sed "s|/usr/local/bin/leveret|$root/usr/local/bin/leveret|" "$unit" >"$folder/$(basename "$unit")"
    done
    for unit in leveret-gateway.service leveret-beat.service leveret-worker@7891.service leveret-relay@shop.service; do
        (cd "$folder" && systemd-analyze verify "./$unit")
        (cd "$folder" && systemd-analyze security --offline=true "./$unit") | tail -n 1
    done
}

# ---------------------------------------------------------------------------------------------------------------------

make_roots
import leveret-builder "$dir/builder" --env PATH=/usr/local/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --env CARGO_HOME=/usr/local/cargo --env "CARGO_BUILD_JOBS=$jobs"
import leveret-runtime "$dir/runtime"
build
mount_image
trap 'stop_servers; stop_all; rm -rf ${shop:+"$shop"}; unmount_image' EXIT
run_alone
start_servers
start_shop
run_fleet
run_units
check_compose
check_units
step "not run here: a Docker engine, and so compose.yaml's networks, limits, restarts and health checks as a whole"
