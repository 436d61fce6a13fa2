"""Inputs of each resource, component and function in which every property of the schema is given once, and good."""

from __future__ import annotations

import copy
import json
from typing import Any

from pulumi_wgnode.contracts.node import described, keys_described
from tests.unit.pulumi_wgnode.keys import KEY, PIN
from tests.unit.pulumi_wgnode.resources import gateway_case
from wgnode import recipient
from wgnode.nodeconfig import encode_key

PRIVATE, PUBLIC = recipient.generate()
DEVICE, DEVICE_SECRET = (encode_key(bytes([fill]) * 32) for fill in (21, 22))
SSH = {"hostKeys": [PIN], "hostAuthorities": [PIN], "port": 22, "user": "root", "privateKey": KEY}
NOT_BESIDE = {"sshHost": None, "passphrase": None, "certificate": None, "agent": None}
"""What doesn't go with the rest of a connection, or is the key's, which has none."""
JUMP = {"address": "203.0.113.9", **SSH, **NOT_BESIDE}
CONNECTION = {"address": "198.51.100.2", **SSH, **NOT_BESIDE, "jumpHosts": [JUMP]}
IDENTITY = {"id": "3fa9c1d2e4b50607", "mesh": "dev", "name": "berlin"}
TRANSIT = {"v4": "172.31.255.252/30", "v6": "fd77:676e:6f64:6500::/126"}
OF_UPLINK = {
    "allow": [{"protocol": "tcp", "port": 80, "from": ["192.0.2.0/24"]}],
    "forward": [{"protocol": "tcp", "port": 80, "to": "10.1.0.0/24", "from": ["192.0.2.0/24"]}],
    "keep": False,
    "leaveAlone": ["ens9"],
}
MESH: dict[str, Any] = {
    "name": "dev",
    "tunnel": {"v4": "10.99.0.0/24", "v6": "fd00:99::/64"},
    "keepalive": 25,
    "listenPort": 51820,
    "mtu": 1400,
    "forget": ["rome"],
    "presharedKeys": "drop",
    "sites": {
        "berlin": {
            "lans": ["10.1.0.0/24"],
            "recipient": PUBLIC,
            "endpoint": "198.51.100.2:51820",
            "renamedFrom": "bonn",
            "keyGeneration": 2,
            "mtu": 1380,
        },
        "cabin": {"lans": ["10.2.0.0/24"], "recipient": PUBLIC},
    },
}
NODE = {
    **copy.deepcopy(described(gateway_case.NEWS["config"])),
    "carrier": {"name": "t-mobile-us", "up": 1400, "down": 1400},
    "devices": {
        "ada/phone": {
            "publicKeys": [DEVICE],
            "allowedIPs": ["10.1.0.130/32"],
            "endpoint": None,
            "persistentKeepalive": 0,
            "expires": 1_900_000_000,
            "access": 1,
        }
    },
    "policy": {
        "classes": [
            {"outgoing": [], "incoming": []},
            {
                "outgoing": [
                    {
                        "id": "groups.staff.reach[0]",
                        "networks": ["10.1.0.0/24"],
                        "classes": [1],
                        "internet": True,
                        "protocols": [6],
                        "ports": [[443, 443]],
                    }
                ],
                "incoming": [],
            },
        ],
        "known": ["10.0.0.0/8"],
        "own": ["10.1.0.2"],
    },
}
NODE["peers"]["cabin"] |= {"mtu": 1400, "probe": "10.99.0.2", "endpoint": "203.0.113.2:51820"}
RESOURCES: dict[str, dict[str, Any]] = {
    "MeshTopology": MESH,
    "HypervisorHost": {
        "connection": CONNECTION,
        "site": IDENTITY,
        "listenPort": 51820,
        "backend": "microvm",
        "packages": ["nftables"],
        "networks": {
            "uplink": "wan0",
            "lanInterface": "lan0",
            "transit": TRANSIT,
            "routes": [{"to": "10.2.0.0/24", "via": "10.1.0.2"}],
            "whose": {"10.2.0.0/24": "site 'cabin'"},
            "peers": ["198.51.100.9"],
            "gateway": {"addresses": ["10.1.0.2/24"], "mac": "52:54:00:aa:bb:cc", "proxyArp": False},
            "egress": {"public": ["203.0.113.33", "2001:db8:1::33"], "routed": False},
        },
    },
    "NatFirewall": {
        "connection": CONNECTION,
        "site": IDENTITY,
        "instance": "",
        "uplink": "wan0",
        "transit": TRANSIT,
        "listenPort": 51820,
        "managementNetworks": ["192.0.2.0/24"],
        "sshPort": 22,
        "forwarding": {"versions": [4], "bridges": ["br0"]},
        "egress": {
            "lan": "br0",
            "devices": {"ada/phone": {"addresses": ["10.1.0.131"], "public": ["203.0.113.33"], "open": False}},
        },
        **OF_UPLINK,
    },
    "ApplianceImage": {"connection": CONNECTION, "source": "a.tar", "sha256": "ab" * 32, "neededBy": IDENTITY},
    "Gateway": {
        "connection": CONNECTION,
        "site": IDENTITY,
        "instance": "",
        "image": gateway_case.NEWS["image"],
        "machine": {
            "memory": 160,
            "cpus": 1,
            "accelerator": "auto",
            "backend": "microvm",
            "udpSegmentation": False,
            "architecture": "amd64",
            "kvm": {"usable": True, "reason": "it is there"},
        },
        "config": NODE,
        "secrets": keys_described(gateway_case.NEWS["secrets"]),
        "lanInterface": "lan0",
        "bundle": "sealed",
    },
}
PHONE = {"publicKey": DEVICE, "addresses": ["10.2.0.131"], "egressAddresses": ["203.0.113.33"]}
USERS = {
    "pool": {"v4": "10.2.0.128/26", "v6": "fd00:2::/120", "released": {"10.2.0.130": "2026-01-01"}},
    "egressPool": {
        "v4": "203.0.113.32/28",
        "v6": "2001:db8:1::40/122",
        "routed": False,
        "released": {"203.0.113.34": "2026-01-01"},
    },
    "groups": {
        "staff": {"reach": "all", "reachableFrom": [{"sites": ["berlin"], "protocol": "icmp"}], "egress": "pool"}
    },
    "users": {
        "ada": {
            "groups": ["staff"],
            "expires": "2027-01-31",
            "disabled": False,
            "devices": {"phone": {**PHONE, "disabled": False}},
        }
    },
    "deviceSecret": DEVICE_SECRET,
}
COMPONENTS: dict[str, dict[str, Any]] = {
    "Mesh": MESH,
    "Site": {
        "name": "cabin",
        "mesh": "dev-mesh",
        "host": {**CONNECTION, "sshPort": 22},
        "managementNetworks": ["192.0.2.0/24"],
        "uplink": "wan0",
        "lan": {
            "interface": "lan0",
            "gatewayAddresses": ["10.2.0.2"],
            "reach": "host-route",
            "dhcp": ["10.2.0.10-10.2.0.20"],
        },
        "recipientKey": PRIVATE,
        "carrier": "t-mobile-us",
        "pathMtu": "auto",
        "gateway": {
            "memory": 160,
            "cpus": 1,
            "accelerator": "auto",
            "backend": "microvm",
            "image": "image.tar",
            "sha256": "ab" * 32,
            "transit": TRANSIT,
        },
        "firewall": OF_UPLINK,
        **USERS,
        "bootstrap": ["true"],
        "topology": {},
        "bundle": "sealed",
    },
}
FUNCTIONS: dict[str, dict[str, Any]] = {
    "siteConfiguration": {
        "name": "cabin",
        "topology": {},
        "bundle": "sealed",
        "recipientKey": PRIVATE,
        "gatewayAddresses": ["10.2.0.2"],
        "reach": "host-route",
        "transit": TRANSIT,
        "carrier": "t-mobile-us",
        "pathMtu": "auto",
        **USERS,
        "meshStack": "dev-mesh",
    }
}
ALL = json.loads(json.dumps({**RESOURCES, **COMPONENTS, **FUNCTIONS}))
"""By name; nothing in it is shared."""
