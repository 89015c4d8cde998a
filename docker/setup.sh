#!/usr/bin/env bash
# Makes a user for each role at RabbitMQ and at Redis, with a password of its own, and a token for the gateway.
#
#   docker/setup.sh [DIR]      writes into DIR, docker/secrets without one
#
# What it writes is what compose.yaml mounts; the servers get hashes only. Run again, it changes nothing: remove
# the folder to have everything made anew, and start all of it again after that. BROKER and STORE name the servers
# as the roles reach them (broker:5672, store:6379); OUTBOX the database whose outbox a relay serves, where there is
# one (postgresql://user:password@host:5432/database).
set -euo pipefail
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:-$here/secrets}
broker=${BROKER:-broker:5672}
store=${STORE:-store:6379}

command -v openssl >/dev/null || { echo "openssl is missing: install it, it makes the passwords" >&2; exit 1; }
if [ -e "$dir" ]; then
    echo "$dir is there already, and left as it is" >&2
    exit 0
fi

# As RabbitMQ keeps it: the salt of four bytes, then the hash of salt and password.
rabbitmq_hash() { # password
    local salt
    salt=$(openssl rand -hex 2)
    { printf %s "$salt"; printf %s "$salt$1" | openssl dgst -sha256 -binary; } | openssl base64 -A
}

redis_hash() { # password
    printf %s "$1" | openssl dgst -sha256 -r | cut -d' ' -f1
}

new=$dir.new
rm -rf "$new"
mkdir -p "$new"
users=$(<"$here/rabbitmq/users.json")
acl=$(<"$here/redis/users.acl")
for role in gateway beat worker relay enqueuer; do
    password=$(openssl rand -hex 24)
    users=${users//@$role@/$(rabbitmq_hash "$password")}
    echo "amqp://$role:$password@$broker/leveret" >"$new/$role-broker-url"
    # Programs of other languages put tasks in through RabbitMQ alone.
    [ "$role" != enqueuer ] || continue
    password=$(openssl rand -hex 24)
    acl=${acl//@$role@/$(redis_hash "$password")}
    echo "redis://$role:$password@$store/0" >"$new/$role-store-url"
done
printf '%s\n' "$users" >"$new/rabbitmq-users.json"
printf '%s\n' "$acl" >"$new/redis-users.acl"
openssl rand -hex 24 >"$new/gateway-tokens"
# Its user and password are the database's own, so they are taken as they are.
[ -z "${OUTBOX:-}" ] || printf '%s\n' "$OUTBOX" >"$new/relay-outbox-url"
# Each container sees its own files only, and reads them as a user that this machine does not know.
chmod 0444 "$new"/*
mv "$new" "$dir"
echo "made $dir; the gateway's token is in $dir/gateway-tokens" >&2
