# Who configures the LAN interface, and what keeps them from taking it, the bridge and our taps back at a restart.
# See docs/decisions/lan-managers.md. All but hooks, and a link that has no use without, is below /run: after a boot
# the host is configured as ever, and `up` comes after that.

OURS=00-00-wgnode  # of .network files: the first that matches an interface is the one that counts
NETWORKD=/run/systemd/network NETWORKD_ADMIN=/etc/systemd/network HOOKS=/etc/network
NETWORK_MANAGER=/run/NetworkManager/conf.d DISPATCHER=/etc/NetworkManager/dispatcher.d
STACKED='^[[:space:]]*(VLAN|MACVLAN|MACVTAP|IPVLAN|IPVTAP|VXLAN|Tunnel|MACsec|Xfrm|IPoIB)[[:space:]]*='
RECORD=/run/wgnode-network

runs() { # PROGRAM, its first 15 characters: in our own network, not in a container beside it
    : "${running:=$(pgrep --ns $$ --nslist net --list-name .)}"
    case $running in *" $1"*) ;; *) return 1 ;; esac
}

put() { # FILE TEXT [MODE]: whole at every moment, and `changed` says whether it was another
    [ "$(cat "$1" 2>/dev/null)" != "$2" ] || [ "$(stat -c %a "$1")" != "${3:-644}" ] || return 0
    mkdir -p "${1%/*}"
    rm -f "$1.new"
    printf '%s\n' "$2" >"$1.new"
    chmod "${3:-644}" "$1.new"
    mv -f "$1.new" "$1"
    changed=yes
}

link_to() { # FILE TARGET: so what is changed there is changed here
    [ "$(readlink "$1")" = "$2" ] || { ln -sfn "$2" "$1"; changed=yes; }
}

take_away() { # PATH...
    for path; do
        [ ! -e "$path" ] && [ ! -L "$path" ] || { rm -rf "$path"; changed=yes; }
    done
}

# --- systemd-networkd, also behind netplan and cloud-init: the bridge is configured as the LAN interface would be ---

networkd_state() { # KEY: what networkd last said of LAN
    { read -r index <"/sys/class/net/$LAN/ifindex" && sed -n "s/^$1=//p" "/run/systemd/netif/links/$index"; } 2>/dev/null |
        tr -d '"'
}

networkd_file() { echo "$NETWORKD/$OURS-$(bridge).network"; }

networkd_added() { echo "$NETWORKD_ADMIN/$OURS-$(bridge).network.d"; }

networkd_port() { echo "$NETWORKD/$OURS-$BRIDGE-port.network"; }

networkd_other() { # whether it was another interface's addresses that our bridge had
    [ -e "$(networkd_port)" ] && ! grep -qx "Name=$LAN" "$(networkd_port)"
}

networkd_source() { # the file that configures LAN, or would without ours; none where networkd leaves it alone
    ! networkd_other || return 0
    known=$(networkd_original "$(networkd_file)")
    [ ! -e "$known" ] || { echo "$known"; return; }
    for _ in $(seq 50); do # at boot it may not have come to it
        case $(networkd_state ADMIN_STATE) in pending|initialized) sleep 0.1 ;; *) break ;; esac
    done
    networkd_state NETWORK_FILE | grep -v "/$OURS-" || true
}

networkd_ports() { # taps before they are made
    runs systemd-network || return 0
    [ -d "$NETWORKD" ] || { mkdir -p "$RECORD"; : >"$RECORD/made-directory"; }
    put "$NETWORKD/$OURS-$LAN_TAP.network" "$(networkd_unmanaged "$WAN_TAP $LAN_TAP")"
}

networkd_bridge() { # before it is made; it may be one of the host's own, where our routes are all that is added
    runs systemd-network || return 0
    file=$(networkd_file) source=$(networkd_source)
    if networkd_other; then # which is to get back what it had first
        take_away "$(networkd_port)" "$file" "$file.d" "$(networkd_added)"
    elif [ -n "$source" ]; then
        mkdir -p "$file.d"
        networkd_like "$file" "$source"
        networkd_drop_ins "$file.d" "${source##*/}.d"
        put "$file.d/zz-wgnode.conf" "[Match]
$(for key in Name MACAddress PermanentMACAddress Path Driver Type Kind Property WLANInterfaceType SSID BSSID; do
            echo "$key="
        done)
Name=$(bridge)
$([ "$(bridge)" != "$BRIDGE" ] || printf '\n[Link]\n# Our own unit may be what waits for the network.\nRequiredForOnline=no')"
    elif [ "$(bridge)" = "$BRIDGE" ]; then
        take_away "$file.d" "$(networkd_added)"
        [ ! -L "$file" ] || take_away "$file"
        put "$file" "$(networkd_unmanaged "$BRIDGE")"
    else
        take_away "$file" "$file.d" "$(networkd_added)"
    fi
}

networkd_unmanaged() { # NAMES
    echo "[Match]
Name=$1

[Link]
Unmanaged=yes"
}

networkd_drop_ins() { # OURS THEIRS: those of the source go with it, of one name the last
    for path in "$1"/*; do
        case $path in */zz-wgnode*) ;; *) [ -e "$(networkd_original "$path")" ] || take_away "$path" ;; esac
    done
    for directory in /usr/lib /usr/local/lib /run /etc; do
        for path in "$directory/systemd/network/$2"/*.conf; do
            [ ! -e "$path" ] || networkd_like "$1/${path##*/}" "$path"
        done
    done
    # One that an administrator adds later counts from the next reload of networkd on.
    if grep -Eqs "$STACKED" "$NETWORKD_ADMIN/$2"/*.conf; then take_away "$(networkd_added)"
    elif [ -d "$NETWORKD_ADMIN" ]; then link_to "$(networkd_added)" "$NETWORKD_ADMIN/$2"; fi
}

networkd_like() { # FILE SOURCE: but for what is stacked on LAN, which stays there
    if grep -Eqs "$STACKED" "$2"; then
        put "$1" "# like $2
$(grep -Ev "$STACKED" "$2")"
    else
        link_to "$1" "$2"
    fi
}

networkd_original() { readlink "$1" || sed -n '1s/^# like //p' "$1" 2>/dev/null || true; } # FILE of ours

networkd_lan() { # once what it had has moved
    runs systemd-network && [ "$(bridge)" = "$BRIDGE" ] || return 0
    put "$(networkd_port)" "$(networkd_unmanaged "$LAN")"
}

networkd_routes() { # once they are there: what networkd does not know of a link, it takes away when it configures it anew
    device=$(bridge) directory=$(networkd_file).d
    [ -d "$directory" ] || return 0
    put "$directory/zz-wgnode-routes-$PROTOCOL.conf" "$(
        for family in 4 6; do ip "-$family" route show dev "$device" proto "$PROTOCOL"; done |
            awk -v proto="$PROTOCOL" '$2 == "via" {
                print "[Route]\nDestination=" $1 "\nGateway=" $3 "\nProtocol=" proto
                for (i = 4; i < NF; i++) if ($i == "metric") print "Metric=" $(i + 1)
            }')"
}

networkd_reload() {
    ! runs systemd-network || timeout 20 networkctl reload 2>/dev/null || true
}

networkd_goes_on() { # systemd 252 overlooks a link-local address that was there before it managed LAN: it waits for ever
    [ -n "${had_source-}" ] && runs systemd-network || return 0
    for _ in $(seq 20); do
        case $(networkd_state ADMIN_STATE) in configuring|configured) break ;; *) sleep 0.1 ;; esac
    done
    ip -6 -o addr show dev "$LAN" scope link | while read -r _ _ _ address more; do
        case $more in *' proto kernel_ll '*) proto='proto kernel_ll' ;; *) proto= ;; esac
        ip addr replace "$address" dev "$LAN" $proto
    done
}

networkd_let_go() { # all: bridge and LAN too
    file=$(networkd_file)
    had_source=$(networkd_original "$file")
    take_away "$NETWORKD/$OURS-$LAN_TAP.network" "$file.d/zz-wgnode-routes-$PROTOCOL.conf"
    [ -z "$1" ] || take_away "$file" "$file.d" "$(networkd_port)" "$(networkd_added)"
}

networkd_manages() { runs systemd-network && [ -n "$(networkd_source)" ]; }

networkd_kept() { [ -e "$(networkd_file)" ] && { [ "$(bridge)" = "$LAN" ] || grep -qsx "Name=$LAN" "$(networkd_port)"; }; }

networkd_objects() {
    source=$(networkd_source)
    [ -n "$source" ] && runs systemd-network || return 0
    if [ "$(printf '%s\n' "${source##*/}" "$OURS" | LC_ALL=C sort | head -n 1)" != "$OURS" ]; then
        echo "$source, which comes before all others that we could write; give it a name from 10- on"
    fi
    grep -E "^(Incoming|Outgoing)Interface=$LAN\$" "$source" "/etc/systemd/network/${source##*/}.d"/*.conf 2>/dev/null |
        sed 's/:/, where systemd-networkd would go on to make a rule with /'
}

# --- NetworkManager: where it leaves LAN alone, or LAN is its own bridge, it leaves alone the rest too ---

NetworkManager_keep() {
    runs NetworkManager || return 0
    names=interface-name:$WAN_TAP,interface-name:$LAN_TAP
    [ "$(bridge)" = "$LAN" ] || names=$names,interface-name:$LAN,interface-name:$BRIDGE
    put "$NETWORK_MANAGER/$OWN.conf" "[device-$OWN]
match-device=$names
managed=0"
    put "$DISPATCHER/$OWN" "#!/bin/sh
# Written by wgnode, removed with it: when NetworkManager brings this interface up anew, our ports and routes are gone.
[ \"\$1 \$2\" = $(quoted "$LAN up") ] && [ -e '$RECORD/$OWN' ] || exit 0
exec sh '$SCRIPT' up" 755
}

NetworkManager_reload() {
    ! runs NetworkManager || timeout 20 nmcli general reload conf 2>/dev/null || true
}

NetworkManager_manages() {
    runs NetworkManager && nmcli --get-values GENERAL.STATE device show "$LAN" 2>/dev/null | grep -v unmanaged | grep -q .
}

NetworkManager_kept() { [ -e "$NETWORK_MANAGER/$OWN.conf" ] && [ -x "$DISPATCHER/$OWN" ]; }

# --- ifupdown: after it has brought LAN up, we move what it gave it; before it takes it down, we give it back ---

ifupdown_keep() {
    command -v ifup >/dev/null && [ -d "$HOOKS/if-up.d" ] || return 0
    put "$HOOKS/if-up.d/$OWN" "$(ifupdown_hook "$(quoted "$LAN")) verb=up ;; *) verb=listen")" 755
    put "$HOOKS/if-down.d/$OWN" "$(ifupdown_hook "$(quoted "$LAN")) verb=give_back ;; *) exit 0")" 755
}

quoted() { echo "'$(echo "$1" | sed "s/'/'\\\\''/g")'"; }

ifupdown_hook() { # CASES of interfaces
    echo "#!/bin/sh
# Written by wgnode, removed with it: what ifupdown does with these interfaces is for a bridge of ours.
case \$IFACE in $1 ;; esac
[ ! -e '$RECORD/$OWN' ] || sh '$SCRIPT' \$verb || echo '$OWN: \$verb failed' >&2
exit 0"
}

ifupdown_manages() {
    grep -qs "^$LAN=" /run/network/ifstate ||
        grep -Eqs "^[[:space:]]*iface[[:space:]]+$LAN[[:space:]]" "$HOOKS/interfaces" "$HOOKS"/interfaces.d/*
}

ifupdown_kept() { [ -x "$HOOKS/if-up.d/$OWN" ] && [ -x "$HOOKS/if-down.d/$OWN" ]; }

# --- all of them ---

keep_ports() { changed=; networkd_ports; networkd_bridge; NetworkManager_keep; ifupdown_keep; reload_managers; }

keep_lan() { changed=; networkd_bridge; networkd_lan; networkd_routes; reload_managers; }

let_go() { # all, where the bridge goes too, or nothing
    changed=
    networkd_let_go "$1"
    take_away "$NETWORK_MANAGER/$OWN.conf" "$DISPATCHER/$OWN" "$HOOKS/if-up.d/$OWN" "$HOOKS/if-down.d/$OWN"
    rmdir "$NETWORK_MANAGER" 2>/dev/null || true
    [ -z "$1" ] || [ ! -e "$RECORD/made-directory" ] || { rm "$RECORD/made-directory"; rmdir "$NETWORKD" 2>/dev/null || true; }
}

forget() { let_go all; } # for an older network.sh that is to come back: managers see it at their next start

reload_managers() {
    [ -z "$changed" ] || { networkd_reload; NetworkManager_reload; }
}

report() { # who configures LAN, and whether it is kept from taking it back; then what keeps us from it; of any state
    exists "$LAN" || { echo; return 0; }
    case $(master "$LAN") in wgnode-br0|wgnbr-*) BRIDGE=$(master "$LAN") ;; esac
    manager
    check
}

manager() {
    for name in networkd NetworkManager ifupdown; do
        "${name}_manages" || continue
        echo "$name$(! "${name}_kept" || echo ' kept')"
        return
    done
    echo
}
