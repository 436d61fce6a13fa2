#!/bin/sh
# Written by wgnode; `pulumi up` replaces it. Links and routes of the gateway: `network.sh up` and `network.sh down`,
# both may be run again at any time. `down` puts back on the LAN interface what `up` has taken over.
#
#   uplink -- this host -- $WAN_TAP [gateway] $LAN_TAP -- bridge -- LAN
#
# Or, where CARDS=veth, ends of veths in the network namespace $NAMESPACE, called "wan" and "lan" there.
#
# The bridge may be shared with other gateways of this host, whose taps are called wgnode-lan or wgnlan-*: the last of
# them takes it away.
set -eu
export LC_ALL=C

MARK='made by wgnode' FOUND=/etc/wgnode/found.json

bridge() { if [ -d "/sys/class/net/$LAN/bridge" ]; then echo "$LAN"; else echo "$BRIDGE"; fi; }
master() { basename "$(readlink "/sys/class/net/$1/master" 2>/dev/null || echo none)"; }
exists() { [ -e "/sys/class/net/$1" ]; }

is_tap() { [ -e "/sys/class/net/$1/tun_flags" ]; }

is_of_group() { # NAME: whoever holds one that is not would have to let it go for that to be changed
    [ "$(cat "/sys/class/net/$1/group")" = "$(getent group "$GROUP" | cut -d : -f 3)" ]
}

is_veth() { # NAME: one of ours
    [ -n "$(ip -o link show dev "$1" type veth)" ] && [ "$(cat "/sys/class/net/$1/ifalias")" = "$MARK" ]
}

delete() { ip link del "$1" 2>/dev/null || ! exists "$1"; } # NAME: it may go with its other end meanwhile

card() { # NAME INSIDE MAC: a bridge takes the lowest address of its ports', so one of the host's goes on with its own
    if ! exists "$1"; then
        :
    elif [ "$CARDS" = tap ]; then
        ! is_tap "$1" || ! is_of_group "$1" || return 0
        delete "$1"
    elif is_veth "$1" && ip -n "$NAMESPACE" link show dev "$2" >/dev/null 2>&1; then
        return 0
    else
        delete "$1"
    fi
    if [ "$CARDS" = tap ]; then
        ip tuntap add dev "$1" mode tap group "$GROUP" vnet_hdr
    else
        ip link add name "$1" type veth peer name "$2" address "$3" netns "$NAMESPACE"
        ip link set "$1" alias "$MARK"
    fi
    ip link set "$1" address "fe:$(mac "$1" | cut -d : -f 2-)"
    sysctl -q -w "net.ipv6.conf.$1.accept_ra=0" 2>/dev/null || true  # a guest is no router of the host's
}

no_namespace() { [ ! -e "/run/netns/$NAMESPACE" ] || ip netns del "$NAMESPACE"; }

namespace() { # with nothing of the host's settings that would make it another machine than a guest is
    ! ip netns exec "$NAMESPACE" true 2>/dev/null || return 0
    no_namespace
    ip netns add "$NAMESPACE"
    for setting in rp_filter arp_ignore arp_announce arp_filter log_martians; do
        ip netns exec "$NAMESPACE" sysctl -q -w "net.ipv4.conf.all.$setting=0" "net.ipv4.conf.default.$setting=0"
    done
}

set_addresses() { # INTERFACE ADDRESS...: these and no others
    interface=$1; shift
    for address; do
        case $address in *:*) dad=nodad family=6 ;; *) dad= family=4 ;; esac
        # The kernel makes its route again with the address only.
        [ -n "$(ip "-$family" route show dev "$interface" proto kernel match "${address%/*}")" ] ||
            ip addr del "$address" dev "$interface" 2>/dev/null || true
        ip addr replace "$address" dev "$interface" $dad
    done
    ip -o addr show dev "$interface" scope global | while read -r _ _ _ address _; do
        case " $* " in *" $address "*) ;; *) ip addr del "$address" dev "$interface" ;; esac
    done
}

join() { # LAN becomes a port of our bridge, which takes over what it had
    if ! exists "$BRIDGE"; then
        ip link add name "$BRIDGE" address "$(mac "$LAN")" type bridge mcast_snooping 0
        made=yes
    fi
    ip link set "$BRIDGE" alias "$MARK"
    [ -z "${made-}" ] || settle_like "$LAN" "$BRIDGE"
    sysctl -q -w "net.ipv4.conf.$BRIDGE.send_redirects=0"
    ip link set "$BRIDGE" up
    for port in /sys/class/net/"$BRIDGE"/brif/*; do
        case ${port##*/} in "$LAN"|wgnode-lan|wgnlan-*|'*') ;; *) release "${port##*/}" ;; esac
    done
    [ "$(mac "$BRIDGE")" = "$(mac "$LAN")" ] || ip link set "$BRIDGE" address "$(mac "$LAN")"
    [ "$(master "$LAN")" = "$BRIDGE" ] || ip link set "$LAN" master "$BRIDGE"
    ip link set "$LAN" up
    if [ -n "${made-}" ] && [ -z "$(held_addresses "$LAN")" ]; then
        recorded | drop "$BRIDGE"  # rules that name it are still there
        recorded | hold "$BRIDGE"
    fi
    move "$LAN" "$BRIDGE"
    record
}

leave() { # LAN is a bridge of the host's now: what ours took over before that goes back, unless another gateway is in it
    exists "$BRIDGE" && is_ours || return 0
    for port in /sys/class/net/"$BRIDGE"/brif/*; do
        case ${port##*/} in "$LAN_TAP") ;; wgnode-lan|wgnlan-*) return 0 ;; esac
    done
    changed=
    take_away "$(networkd_port)" "$NETWORKD/$OURS-$BRIDGE.network" "$NETWORKD/$OURS-$BRIDGE.network.d" \
        "$NETWORKD_ADMIN/$OURS-$BRIDGE.network.d" "$RECORD/$BRIDGE"
    for port in /sys/class/net/"$BRIDGE"/brif/*; do
        case ${port##*/} in "$LAN_TAP"|'*') ;; *) release "${port##*/}" ;; esac
    done
    ip link del "$BRIDGE"
    reload_managers
}

record() { # what a bridge that is removed comes back with; addresses that expire come back by themselves
    mkdir -p "$RECORD"
    { where; held "$BRIDGE" | grep -v -e _lft -e ' expires ' || true; } >"$RECORD/$BRIDGE.new"
    mv "$RECORD/$BRIDGE.new" "$RECORD/$BRIDGE"
}

recorded() { # nothing where it is of another network, as of a container's
    [ "$(head -n 1 "$RECORD/$BRIDGE" 2>/dev/null)" != "$(where)" ] || sed 1d "$RECORD/$BRIDGE"
}

where() { echo "$(readlink /proc/self/ns/net) $LAN $(mac "$LAN")"; }

mac() { cat "/sys/class/net/$1/address"; }

is_ours() { # the bridge of our name: by our mark; an older version's by a tap in it; one just made by an `up` cut short
    [ "$(cat "/sys/class/net/$BRIDGE/ifalias")" != "$MARK" ] || return 0
    for port in /sys/class/net/"$BRIDGE"/brif/*; do
        case ${port##*/} in wgnode-lan|wgnlan-*) return 0 ;; esac
    done
    [ -d "/sys/class/net/$BRIDGE/bridge" ] && [ "$(mac "$BRIDGE")" = "$(mac "$LAN")" ] &&
        [ "$(ls "/sys/class/net/$BRIDGE/brif")" = "" ] && [ -z "$(held_addresses "$BRIDGE")" ]
}

release() { # INTERFACE leaves our bridge; if it was the LAN's, from which the bridge has its MAC, it gets its own back
    ip link set "$1" nomaster
    [ "$1" != "$LAN" ] && [ "$(mac "$1")" != "$(mac "$BRIDGE")" ] || move "$BRIDGE" "$1"
}

shared() { # whether another gateway of this host is in the bridge
    for port in /sys/class/net/"$(bridge)"/brif/*; do
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
            if (has["proto"] != proto) {
                if (to in via && has["via"] != via[to] && has["metric"] + 0 <= metric) taken[to] = $0
                next
            }
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

set_public() { # devices' public addresses lead to our link, where only what is translated passes; neighbours find us
    [ -z "$LEAVES" ] || sysctl -q -w "net.ipv4.conf.$WAN_TAP.rp_filter=2" # what devices send comes from the LAN's network
    {
        for family in 4 6; do
            ip "-$family" neigh show proxy proto "$PROTOCOL" | while read -r address _ device _; do
                case " $ANSWERED " in *" $address "*) [ "$device" != "$UPLINK" ] || continue ;; esac
                echo "neigh del proxy $address dev $device"
            done
            ip "-$family" route show dev "$WAN_TAP" proto "$TO_LINK" | while read -r address _; do
                case " $PUBLIC " in *" $address "*) ;; *) echo "route del $address dev $WAN_TAP proto $TO_LINK" ;; esac
            done
        done 2>/dev/null
        for address in $PUBLIC; do echo "route replace $address dev $WAN_TAP proto $TO_LINK"; done
        for address in $ANSWERED; do echo "neigh replace proxy $address dev $UPLINK proto $PROTOCOL"; done
    } | ip -force -batch - || unset_routes=yes
}

routes() { # alone: nothing else is touched
    set_all_routes
    set_public
    networkd_routes # without a reload, at which systemd 252 takes the host's addresses away for some milliseconds
    all_set
}

all_set() { # 4: everything is up but routes, or answers for addresses, that were named
    [ -z "${unset_routes-}" ] || exit 4
}

# A host that forwards hears router advertisements only at 2: what did so before we had it forward goes on, also what is
# plugged in later (`default`). ifupdown writes 1 whenever it brings an interface up by `inet6 dhcp`.
listen() {
    for setting in /proc/sys/net/ipv6/conf/*/accept_ra; do
        name=${setting%/*} name=${name##*/}
        [ "$(cat "$setting" 2>/dev/null)" = 1 ] || continue
        case $name in
            all|lo|wgnode-*|wgnlan-*|wgnwan-*|wgnbr-*) continue ;;
            "$UPLINK") [ "$(cat "${setting%/*}/forwarding")" = 1 ] || continue ;;
            *) grep -qs '"net/ipv6/conf/all/forwarding": "0"' "$FOUND" || continue; heard "$name" ;;
        esac
        echo 2 >"$setting"
    done
}

heard() { # INTERFACE: to be put back
    mkdir -p "$RECORD"
    grep -qsx "$1" "$RECORD/heard" || echo "$1" >>"$RECORD/heard"
}

unlisten() { # as it was, once no gateway of this host has it forward
    [ -e "$RECORD/heard" ] && ! ls "$RECORD"/wgnode-network* >/dev/null 2>&1 || return 0
    while read -r name; do
        setting=/proc/sys/net/ipv6/conf/$name/accept_ra
        [ "$(cat "$setting" 2>/dev/null)" != 2 ] || echo 1 >"$setting"
    done <"$RECORD/heard"
    rm "$RECORD/heard"
}

check() { # what keeps LAN from being taken over, a line each; nothing is touched
    for link in "$WAN_TAP" "$LAN_TAP"; do
        ! exists "$link" || is_tap "$link" || is_veth "$link" ||
            echo "there is a $link already that is none of ours: remove it, or call it something else"
    done
    [ "$(bridge)" = "$BRIDGE" ] || return 0
    if exists "$BRIDGE" && ! is_ours; then
        echo "there is a $BRIDGE already that is none of ours: remove it, or call it something else"
    fi
    { unmovable "$LAN" "$BRIDGE"; networkd_objects; } | sed "s/^/$LAN has what cannot move to our bridge: /"
}

give_back() { # before LAN is configured anew: it has again what whoever does that gave it
    alone
    ! exists "$BRIDGE" || ! is_ours || move "$BRIDGE" "$LAN"
}

alone() { # the units of a host's gateways start at once, and may share a bridge
    [ ! -d /etc/wgnode ] || { exec 9</etc/wgnode; flock 9; }
}

up() {
    alone
    exists "$LAN" || { echo "there is no interface $LAN" >&2; exit 1; }
    obstacles=$(check)
    [ -z "$obstacles" ] || { echo "$obstacles" >&2; exit 1; }
    keep_ports
    listen
    join_forwarded on "$UPLINK" || true # which a kernel may not have, and packets go without
    [ "$CARDS" = tap ] || namespace
    card "$WAN_TAP" wan "${WAN_MAC-}"
    card "$LAN_TAP" lan "${LAN_MAC-}"
    [ "$CARDS" = veth ] || no_namespace
    set_addresses "$WAN_TAP" $TRANSIT
    ip link set "$WAN_TAP" up
    if [ "$(bridge)" = "$BRIDGE" ]; then join; else leave; fi
    ip link set "$LAN_TAP" mtu "$(cat "/sys/class/net/$LAN/mtu")" master "$(bridge)" up
    set_all_routes
    set_public
    keep_lan
    mkdir -p "$RECORD" && : >"$RECORD/$OWN"
    all_set
}

down() {
    set +e
    alone
    last=all
    ! shared || last=
    let_go "$last"
    LEAVES='' PUBLIC='' ANSWERED=''
    set_public
    for family in 4 6; do
        ip "-$family" route flush proto "$PROTOCOL" 2>/dev/null
    done
    if exists "$BRIDGE" && is_ours && [ -n "$last" ]; then
        for port in /sys/class/net/"$BRIDGE"/brif/*; do
            case ${port##*/} in "$LAN_TAP"|'*') ;; *) release "${port##*/}" ;; esac
        done
        ip link del "$BRIDGE"
    elif ! exists "$BRIDGE" && exists "$LAN" && [ -z "$(held_addresses "$LAN")" ]; then
        recorded | drop "$BRIDGE"
        recorded | hold "$LAN"
    fi
    rm -f "$RECORD/$OWN" "${last:+$RECORD/$BRIDGE}"
    unlisten
    rmdir "$RECORD" 2>/dev/null
    for name in "$LAN_TAP" "$WAN_TAP"; do
        ! exists "$name" || ip link del "$name"
    done
    no_namespace
    reload_managers
    [ -z "$last" ] || ! exists "$LAN" || networkd_goes_on
}
