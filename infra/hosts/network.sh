#!/bin/sh
# Written by wgnode; `pulumi up` replaces it. Links and routes of the gateway: `network.sh up` and `network.sh down`,
# both may be run again at any time. `down` puts back on the LAN interface what `up` has taken over.
#
#   uplink -- this host -- $WAN_TAP [gateway] $LAN_TAP -- bridge -- LAN
#
# The bridge may be shared with other gateways of this host, whose taps are called wgnode-lan or wgnlan-*: the last of
# them takes it away.
set -eu

bridge() { if [ -d "/sys/class/net/$LAN/bridge" ]; then echo "$LAN"; else echo "$BRIDGE"; fi; }
master() { basename "$(readlink "/sys/class/net/$1/master" 2>/dev/null || echo none)"; }
exists() { [ -e "/sys/class/net/$1" ]; }

tap() { # NAME
    exists "$1" || ip tuntap add dev "$1" mode tap user wgnode vnet_hdr
}

addresses() { # INTERFACE: its own addresses; those that router advertisements made come back by themselves
    ip -o addr show dev "$1" scope global | awk '!($3 == "inet6" && / dynamic /) {
        printf "%s%s\n", $4, ($5 == "brd" ? " brd " $6 : $3 == "inet6" ? " nodad" : "") }'
}

set_addresses() { # INTERFACE ADDRESS...: these and no others
    interface=$1; shift
    for address; do
        case $address in *:*) dad=nodad ;; *) dad= ;; esac
        ip addr replace "$address" dev "$interface" $dad
    done
    addresses "$interface" | while read -r address _; do
        case " $* " in *" $address "*) ;; *) ip addr del "$address" dev "$interface" ;; esac
    done
}

move() { # FROM TO: addresses, and routes that the kernel did not make of them
    held=$(addresses "$1")
    routes4=$(ip -4 route show dev "$1" | grep -v 'proto kernel' || true)
    routes6=$(ip -6 route show dev "$1" | grep -v -e 'proto kernel' -e 'proto ra' || true)
    ip addr flush dev "$1" scope global
    printf '%s\n' "$held" | while read -r address; do
        [ -z "$address" ] || ip addr replace $address dev "$2"
    done
    for family in 4 6; do
        eval "routes=\$routes$family"
        printf '%s\n' "$routes" | sed 's/ linkdown//; s/ dead//' | while read -r route; do
            [ -z "$route" ] || ip "-$family" route replace $route dev "$2" || echo "route $route is lost" >&2
        done
    done
}

join() { # LAN becomes a port of our bridge, which takes over what it had
    if ! exists "$BRIDGE"; then
        ip link add name "$BRIDGE" type bridge mcast_snooping 0
        ip link set "$BRIDGE" address "$(mac "$LAN")"
    fi
    sysctl -q -w "net.ipv4.conf.$BRIDGE.send_redirects=0"
    ip link set "$BRIDGE" up
    for port in /sys/class/net/"$BRIDGE"/brif/*; do
        case ${port##*/} in "$LAN"|wgnode-lan|wgnlan-*|'*') ;; *) release "${port##*/}" ;; esac
    done
    [ "$(mac "$BRIDGE")" = "$(mac "$LAN")" ] || ip link set "$BRIDGE" address "$(mac "$LAN")"
    [ "$(master "$LAN")" = "$BRIDGE" ] || ip link set "$LAN" master "$BRIDGE"
    ip link set "$LAN" up
    [ -z "$(addresses "$LAN")" ] || move "$LAN" "$BRIDGE"
}

mac() { cat "/sys/class/net/$1/address"; }

release() { # INTERFACE leaves our bridge; if it was the LAN's, from which the bridge has its MAC, it gets its own back
    ip link set "$1" nomaster
    [ "$1" != "$LAN" ] && [ "$(mac "$1")" != "$(mac "$BRIDGE")" ] || move "$BRIDGE" "$1"
}

shared() { # whether another gateway of this host is in our bridge
    for port in /sys/class/net/"$BRIDGE"/brif/*; do
        case ${port##*/} in "$LAN_TAP") ;; wgnode-lan|wgnlan-*) return 0 ;; esac
    done
    return 1
}

set_routes() { # FAMILY "TO VIA"...: our routes, known by their protocol number and behind all that others have
    family=$1 device=$(bridge); shift
    plan=$({ printf '+%s\n' "$@"; ip "-$family" route show; } | plan_routes)
    printf '%s\n' "$plan" | sed -n 's/^taken //p' | while read -r line; do
        echo "the route to $line is not set, because this host has one itself" >&2
    done
    steps=$(printf '%s\n' "$plan" | sed -n '/^route /p')
    failed=$(printf '%s\n' "$steps" | ip "-$family" -force -batch - 2>&1 >/dev/null) || true
    [ -z "$failed" ] || printf '%s\n' "$failed" | while read -r line; do
        number=${line##*Command failed -:}
        [ "$number" = "$line" ] || line=$(printf '%s\n' "$steps" | sed -n "${number}p")
        echo "$line" >&2
    done
    case "$failed$plan" in ''|route*) ;; *) unset_routes=yes ;; esac
}

# What is wanted ("+TO VIA") beside all routes of the table: `ip` commands in their order, and "taken TO (whose)". A
# route of others is never replaced, nor passed: ours would not count. One of theirs that is behind ours may stay.
plan_routes() {
    awk -v device="$device" -v proto="$PROTOCOL" -v metric="$METRIC" '
        /^\+./ { split(substr($0, 2), part); via[part[1]] = part[2]; next }
        /^[^+ \t]/ {
            to = $1 ~ /^[a-z]+$/ && $1 != "default" ? $2 : $1
            split("", has)
            for (i = 2; i < NF; i++) if ($i ~ /^(via|dev|proto|metric)$/) has[$i] = $(i + 1)
            if (has["proto"] != proto) { if (to in via && has["metric"] + 0 <= metric) taken[to] = $0; next }
            if (to in via && has["via"] == via[to] && has["dev"] == device && has["metric"] == metric) { kept[to]; next }
            gone = "route del " to " via " has["via"] " dev " has["dev"] " proto " proto " metric " has["metric"] + 0
            if (to in via && has["metric"] == metric) before[to] = gone; else after[++count] = gone
        }
        END {
            for (to in taken) { sub(/ *$/, "", taken[to]); print "taken " to ": " taken[to] }
            for (to in before) print before[to]
            for (to in via) if (!(to in taken) && !(to in kept))
                print "route add", to, "via", via[to], "dev", device, "proto", proto, "metric", metric
            for (i = 1; i <= count; i++) print after[i]
        }'
}

routes() { # alone: nothing else is touched
    set_all_routes
    all_set
}

all_set() { # 4: everything is up but routes that were named
    [ -z "${unset_routes-}" ] || exit 4
}

alone() { # the units of a host's gateways start at once, and may share a bridge
    [ ! -d /etc/wgnode ] || { exec 9</etc/wgnode; flock 9; }
}

up() {
    alone
    exists "$LAN" || { echo "there is no interface $LAN" >&2; exit 1; }
    tap "$WAN_TAP"
    tap "$LAN_TAP"
    set_addresses "$WAN_TAP" $TRANSIT
    ip link set "$WAN_TAP" up
    [ "$(bridge)" != "$BRIDGE" ] || join
    ip link set "$LAN_TAP" mtu "$(cat "/sys/class/net/$LAN/mtu")" master "$(bridge)" up
    set_all_routes
    all_set
}

down() {
    set +e
    alone
    for family in 4 6; do
        ip "-$family" route flush proto "$PROTOCOL" 2>/dev/null
    done
    if exists "$BRIDGE" && ! shared; then
        for port in /sys/class/net/"$BRIDGE"/brif/*; do
            case ${port##*/} in "$LAN_TAP"|'*') ;; *) release "${port##*/}" ;; esac
        done
        ip link del "$BRIDGE"
    fi
    for name in "$LAN_TAP" "$WAN_TAP"; do
        ! exists "$name" || ip link del "$name"
    done
}
