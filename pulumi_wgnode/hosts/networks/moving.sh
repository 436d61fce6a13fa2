# What the host has on an interface, and moving it to another: addresses, routes of all tables, rules, neighbours.
# Held is a line `FAMILY OBJECT VERB ARGUMENTS` for each, as `ip` reads it, with @ for the interface.

held() { # INTERFACE
    held_addresses "$1"
    for family in 4 6; do
        { ip "-$family" route show table all; echo; ip "-$family" route show table all dev "$1"; echo
            ip "-$family" rule show; echo
            ip "-$family" neigh show dev "$1" nud permanent; ip "-$family" neigh show proxy dev "$1"; } |
            held_of_family "$family" "$1"
    done
}

# FAMILY INTERFACE: from all routes, its routes, rules and neighbours; no routes of the kernel or of gateways. One that
# another interface has the same of, before it, is never replaced: that one would be.
held_of_family() {
    awk -v family="$1" -v name="$2" '
        function key(  i, found) { # of the routes of which there can be one only, unless one is told to come after
            found = $1 ~ /^[a-z]+$/ && $1 != "default" ? $2 : $1
            for (i = 2; i < NF; i++) if ($i ~ /^(table|tos|metric|dev)$/) has[$i] = $(i + 1)
            found = found " " has["table"] " " has["tos"] " " has["metric"]; device = has["dev"]
            split("", has)
            return found
        }
        /^$/ { part++; next }
        !part { if (!((one = key()) in first)) first[one] = device; next }
        part == 1 {
            verb = first[key()] == name ? "replace" : "append"
            for (i = 1; i < NF; i++)
                # The kernel has none by a gateway; ifupdown2 says that its own are of it.
                if ($i == "proto" && ($(i + 1) == "kernel" && !/ via / || $(i + 1) >= 119 && $(i + 1) <= 150)) next
                else if ($i == "expires") $(i + 1) += 0  # of a router advertisement, whose next one goes on with it
            if (/ proto ra /) sub(/ nhid [0-9]+/, "")
            gsub(/ (linkdown|dead|pref medium|offload|rt_offload|trap|rt_trap)/, "")
            line = family " route " verb " " $0 " dev @"
            if (/ via /) late[++lates] = line; else print line  # which needs those before it
        }
        part == 2 {
            at = 0
            for (i = 2; i < NF; i++) if (($i == "iif" || $i == "oif") && $(i + 1) == name) { $(i + 1) = "@"; at = 1 }
            gsub(/ \[detached\]/, "")
            if (at) { sub(/:/, "", $1); pref = $1; $1 = ""; rules[++count] = family " rule add pref " pref $0 }
        }
        part == 3 && $2 == "lladdr" { rules[++count] = family " neigh replace " $1 " lladdr " $3 " nud permanent dev @" }
        part == 3 && / proxy/ { rules[++count] = family " neigh replace proxy " $1 " dev @" }
        END {
            for (i = 1; i <= lates; i++) print late[i]
            for (i = 1; i <= count; i++) print rules[i]
        }'
}

held_addresses() { # INTERFACE: all but those that the kernel gives each interface by itself
    ip -o addr show dev "$1" | awk -v name="$1" -v own="$(link_local "$1")" '
        $4 == own || / kernel_ll / || / temporary / || / dadfailed / { next }
        {
            gsub(/\\/, " ")
            line = ($3 == "inet6" ? 6 : 4) " addr replace " $4
            for (i = 5; i <= NF; i++)
                if ($i ~ /^(peer|brd|metric|scope)$/) { line = line " " $i " " $(i + 1); i++ }
                else if ($i ~ /^(noprefixroute|mngtmpaddr|home|autojoin|nodad)$/) line = line " " $i
                else if ($i ~ /_lft$/) { if ($(i + 1) != "forever") line = line " " $i " " $(i + 1) + 0; i++ }
                else if (index($i, name ":") == 1) line = line " label @" substr($i, length(name) + 1)
            if ($3 == "inet") print line " dev @"; else newest[++count] = line " dev @"
        }
        END { while (count) print newest[count--] }'  # of IPv6, the last to come is listed first
}

link_local() { # INTERFACE: the address that the kernel makes of its MAC (RFC 4291, appendix A)
    IFS=: read -r a b c d e f <"/sys/class/net/$1/address"
    first=$(((0x$a ^ 2) << 8 | 0x$b))
    [ "$first" != 0 ] || first=
    printf "fe80::${first:+%x:}%x:%x:%x/64\n" $first "$((0x${c}ff))" "$((0xfe00 | 0x$d))" "$((0x$e$f))"
}

hold() { # INTERFACE: what is held, from standard input; IPv6 addresses at once, without asking for them in the LAN
    lines=$(cat)
    printf '%s\n' "$lines" | of_family 4 "$1" | ip -force -4 -batch - || true
    printf '%s\n' "$lines" | of_family 6 "$1" | sed '/ proto ra /d; s/^addr .*/& nodad/' | ip -force -6 -batch - || true
    # Unless the next advertisement was quicker.
    printf '%s\n' "$lines" | of_family 6 "$1" | sed -n '/ proto ra /s/^route replace/route add/p' |
        ip -force -6 -batch - 2>/dev/null || true
    printf '%s\n' "$lines" | of_family 6 "$1" | grep '^addr ' | ip -force -6 -batch - || true
}

drop() { # INTERFACE: what is held, from standard input, the last first; what goes with something before it may be gone
    lines=$(sed 's/^\(. [a-z]*\) \(add\|append\|replace\) /\1 del /' | tac)
    for family in 4 6; do
        printf '%s\n' "$lines" | of_family "$family" "$1" | ip -force "-$family" -batch - 2>/dev/null || true
    done
}

of_family() { sed -n "s/^$1 //p" | sed "s/@/$2/g"; }

move() { # FROM TO: there before it is gone here, so that nothing that uses an address sees it missing
    moved=$(held "$1")
    [ -n "$moved" ] || return 0
    printf '%s\n' "$moved" | hold "$2"
    printf '%s\n' "$moved" | drop "$1"
    announce "$2"
}

# INTERFACE: the routes of its own networks are told again. systemd 257 takes one that comes here for the same one that
# is about to go there, knows of none in the end, and leaves all that have a gateway in it unset until it is restarted.
announce() {
    runs systemd-network || return 0
    own=$(held_addresses "$1" | grep '^4 ' | grep -v -e noprefixroute -e _lft | sed '/ metric /!s/ dev @/ metric 0&/')
    for more in 1 0; do # by another metric and back, of which each is there before the other goes
        printf '%s\n' "$own" | awk -v more="$more" '{
            for (i = 1; i < NF; i++) if ($i == "metric") $(i + 1) += more
            print
        }' | of_family 4 "$1" | ip -force -4 -batch - || true
    done
    ip -6 route show dev "$1" proto kernel | grep -v -e expires -e '^fe80:' -e '^multicast' |
        sed "s/^/route replace /; s/ pref medium//; s/\$/ dev $1 proto kernel/" | ip -force -6 -batch - || true
}

settle_like() { # FROM TO: settings of one for the other, which is new; some are not there for all, or for reading only
    for family in 4 6; do
        grep -s . "/proc/sys/net/ipv$family/conf/$1"/* | while IFS=: read -r path value; do
            case ${path##*/} in *forwarding|send_redirects|stable_secret|mtu|*_mtu) continue ;; esac
            # A host that forwards listens to router advertisements only at 2.
            [ "${path##*/}" != accept_ra ] || [ "$value" = 0 ] || value=2
            echo "$value" >"/proc/sys/net/ipv$family/conf/$2/${path##*/}"
        done
    done 2>/dev/null || true
}

unmovable() { # FROM TO: what cannot move along, in words
    for family in 4 6; do
        ip -o "-$family" route show table all | grep -v ' proto ra ' | grep -E "nexthop .* dev $1( |\\\\|\$)| nhid .* dev $1( |\$)" |
            sed 's/\\[[:space:]]*/ /g; s/ *$//; s/^/the route /; s/$/ (several next hops, or a next hop object)/'
    done
    held_addresses "$1" | sed -n 's/.* replace \([^ ]*\) .* label @\([^ ]*\) .*/\1 \2/p' | while read -r address label; do
        [ "$(printf %s "$2$label" | wc -c)" -le 15 ] || echo "$address with the label $1$label, which would be too long at $2"
    done
}
