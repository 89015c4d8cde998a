#!/bin/bash
# What docker/prove.sh does with the units inside a machine that systemd runs: starts, uses, reloads, hangs and stops
# them, and leaves /proof.passed if each answer was the expected one.
set -euo pipefail
trap 'systemctl status --no-pager -l "leveret-*" || true; journalctl --no-pager -n 60 || true' ERR

show() { systemctl show --value -p "$1" "$2"; }
is() { # property unit value
    local found
    found=$(show "$1" "$2")
    [ "$found" = "$3" ] || { echo "$2: $1 is $found, not $3"; return 1; }
}
wait_for() { # what command...
    local what=$1 end=$((SECONDS + 60))
    shift
    until "$@"; do
        ((SECONDS < end)) || { echo "$what does not come"; return 1; }
        sleep 0.2
    done
}
token=$(cat /etc/leveret/credentials/gateway-tokens)
ask() { LEVERET_GATEWAY_TOKEN=$token leveret "$@" --gateway-url http://127.0.0.1:27878; }

units=(leveret-gateway leveret-beat leveret-worker@27881 leveret-relay@shop leveret-relay@file)
systemctl --version | head -n 1
# Returns once each of them said that it is ready.
systemctl start "${units[@]}"
for unit in "${units[@]}"; do
    is ActiveState "$unit" active
    echo "$unit: $(show StatusText "$unit")"
    grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' "/proc/$(show MainPID "$unit")/status" | tr '\n\t' '  '
    echo
done
leveret probe worker --worker-listen 127.0.0.1:27881
ask task enqueue demo.version --delay 500ms --wait 30s -o json
leveret probe relay --relay-listen 127.0.0.1:27885
leveret probe relay --relay-listen 127.0.0.1:27886
# Committed before there was a relay.
for id in from-the-shop from-a-file; do
    wait_for "the task of a committed row" ask task show "$id" >/dev/null
    ask task wait "$id" --timeout 30s -o json
done

systemctl reload leveret-beat
is ActiveState leveret-beat active
echo "reloaded: $(show StatusText leveret-beat)"

# Longer than the watchdog allows: whoever lives is left alone.
sleep 9
for unit in "${units[@]}"; do is NRestarts "$unit" 0; done
# One that hangs is killed and started anew.
for unit in leveret-worker@27881 leveret-relay@shop; do kill -STOP "$(show MainPID "$unit")"; done
for unit in leveret-worker@27881 leveret-relay@shop; do
    wait_for "the restart of $unit, which hangs" is NRestarts "$unit" 1 >/dev/null
    wait_for "its readiness" is SubState "$unit" running >/dev/null
    echo "$unit hung and was started anew after the watchdog: $(journalctl --no-pager -u "$unit" | grep -m1 -o 'Watchdog timeout.*')"
done
ask task enqueue demo.version --wait 30s -o json

began=$SECONDS
systemctl stop "${units[@]}"
echo "stopped within $((SECONDS - began)) s"
for unit in leveret-gateway leveret-beat leveret-relay@shop leveret-relay@file; do
    is Result "$unit" success
    is ExecMainStatus "$unit" 0
done
is ExecMainStatus leveret-worker@27881 0
touch /proof.passed
