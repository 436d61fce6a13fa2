"""Owner records: whom the gateways on a host belong to, and what they share it by.

One file a gateway, DIRECTORY/<id>.json, `id` being its site's (16 lower-case hexadecimal digits, for ever). It is the
first thing that is written on a host and the last that is removed:

    {"format": 1, "id": "3fa9c1d2…", "mesh": "dev", "name": "berlin", "version": "0.7.0", "instance": "",
     "protocol": 119, "uplink": "wan0", "transit": ["172.31.255.252/30"], "listenPort": 51820,
     "claims": {"host": "…", "firewall": "…", "gateway": "…"}}

`instance` is "" for the gateway with the plain names (wgnode.image.paths), `protocol` the number of its routes.
A claim is the token that the last creation of a resource kind stamped: who deletes must have it. What the gateways of a
host share (packages, user, sysctls, a bridge) is used by all that have a record, and goes with the last.
Why: docs/decisions/owner-records.md.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from pulumi_wgnode.hosts.host import Host, HostError, Result
from pulumi_wgnode.hosts.networks.network import PROTOCOLS
from pulumi_wgnode.hosts.query import Query
from wgnode import formats
from wgnode.image.paths import INSTANCE, Paths

DIRECTORY = "/etc/wgnode/owners"
FORMAT = 1
KINDS = ("host", "firewall", "gateway")
LARGEST = 16384  # bytes of a record that are read
ID = re.compile(r"[0-9a-f]{16}")
_TOKEN = re.compile(r"[0-9a-f]{16}")
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,253}")

_PLAIN_LAYER = Paths().config_layer
READ = f"""echo "machine $(cat /etc/machine-id 2>/dev/null)"
for f in {DIRECTORY}/*.json; do
    [ -f "$f" ] || continue
    name=${{f##*/}}
    printf 'record %s %s\\n' "$(printf %s "${{name%.json}}" | base64 -w0)" "$(head -c {LARGEST} -- "$f" | base64 -w0)"
done
[ ! -f {_PLAIN_LAYER} ] || echo "plain $(head -c 4194304 -- {_PLAIN_LAYER} | base64 -w0)\""""


class RecordError(ValueError):
    """No record; the text says why."""


class NewerRecord(RecordError):
    """A record of a newer version, which this one must leave alone."""


@dataclass(frozen=True)
class Owner:
    """A site: its id is who it is, mesh and name are what people call it."""

    id: str
    mesh: str
    name: str

    def __str__(self) -> str:
        return f"site {self.name!r} of mesh {self.mesh!r}" + (f" ({self.id})" if self.id else "")


@dataclass(frozen=True)
class Record:
    owner: Owner
    version: str
    instance: str = ""
    protocol: int = PROTOCOLS[0]
    uplink: str = ""
    transit: tuple[str, ...] = ()
    listen_port: int = 0
    claims: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return path_of(self.owner.id)

    @property
    def paths(self) -> Paths:
        return Paths(self.instance)

    def to_json(self) -> str:
        raw = {
            "format": FORMAT,
            "id": self.owner.id,
            "mesh": self.owner.mesh,
            "name": self.owner.name,
            "version": self.version,
            "instance": self.instance,
            "protocol": self.protocol,
            "uplink": self.uplink,
            "transit": list(self.transit),
            "listenPort": self.listen_port,
            "claims": dict(self.claims),
        }
        return json.dumps(raw, indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Seen:
    """What a host says of its gateways. `damaged` are records that can't be read, by the id that they are named by.

    `newer` are those among them that a newer version wrote.
    `plain` is the baked layer of the gateway with the plain names, which has no record where an older version made it.
    """

    machine: str
    records: tuple[Record, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)
    newer: Set[str] = frozenset()
    plain: bytes | None = None

    def of(self, id: str) -> Record | None:
        return next((one for one in self.records if one.owner.id == id), None)

    def at(self, instance: str) -> Record | None:
        return next((one for one in self.records if one.instance == instance), None)


def path_of(id: str) -> str:
    return f"{DIRECTORY}/{id}.json"


def inputs_of(id: str, kind: str) -> str:
    """Where the inputs of one of the owner's resources are kept (kept_inputs.py)."""
    return f"{DIRECTORY}/{id}.{kind}"


def parse(text: str, id: str) -> Record:
    """The record that a file named after `id` has. Raises RecordError for whatever is none."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"no JSON ({error})") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else None
        if isinstance(raw, dict) and (why := formats.newer(path_of(id), found, FORMAT, raw.get("version"))):
            raise NewerRecord(why)
        raise RecordError(f"its format is {found!r:.40}, this version knows {FORMAT}")
    if raw.get("id") != id or not ID.fullmatch(id):
        raise RecordError(f"it is of id {raw.get('id')!r:.40}, not of the one that it is named by")
    port = _integer(raw, "listenPort", range(65536))
    return Record(
        Owner(id, _text(raw, "mesh", _TEXT), _text(raw, "name", _TEXT)),
        _text(raw, "version", _TEXT),
        _text(raw, "instance", INSTANCE),
        _integer(raw, "protocol", PROTOCOLS),
        _text(raw, "uplink", re.compile(r"[^\s/]{0,15}")),
        _networks(raw.get("transit")),
        port,
        _claims(raw.get("claims")),
    )


QUERY: Query[Seen] = Query(["sh", "-c", READ], lambda said: _seen(said), check=True)


def chosen(seen: Seen, name: str, mesh: str | None = None) -> Record | None:
    """The record of the gateway that a site's stack, which has no id, is about: by its names, else the only one.

    Raises HostError where it may be one that a newer version wrote.
    """
    named = [one for one in seen.records if one.owner.name == name and mesh in (None, one.owner.mesh)]
    if not named and seen.newer:
        raise HostError(seen.damaged[min(seen.newer)])
    candidates = named or list(seen.records)
    return candidates[0] if len(candidates) == 1 else None


def paths_of(seen: Seen, name: str, mesh: str | None = None) -> Paths:
    """Where the gateway of a site's stack is; the plain names on a host without a record of it."""
    record = chosen(seen, name, mesh)
    return Paths(record.instance if record else "")


def write(host: Host, record: Record) -> None:
    host.run(["mkdir", "-p", "-m", "0755", DIRECTORY])
    host.write_file(record.path, record.to_json().encode())


def remove(host: Host, id: str | None) -> None:
    """The record, if there is one, and the folders that it was alone in, at once: without it nobody comes back."""
    kept = [inputs_of(id, kind) for kind in (*KINDS, "image")] if id else []
    host.remove(*([path_of(id)] if id else []), *kept, DIRECTORY, "/etc/wgnode")


def free_protocol(records: Iterable[Record]) -> int:
    """Raises HostError where a host has too many gateways."""
    taken = {record.protocol for record in records}
    for number in PROTOCOLS:
        if number not in taken:
            return number
    raise HostError(f"a host has place for {len(PROTOCOLS)} gateways, and there are {len(taken)} already")


def _seen(said: Result) -> Seen:
    machine, plain = "", None
    records, damaged, newer = [], {}, set()
    for line in said.stdout.splitlines():
        words = line.split(" ")
        if words[0] == "machine":
            machine = words[1] if len(words) > 1 else ""
        elif words[0] == "plain":
            plain = base64.b64decode(words[1])
        elif words[0] == "record":
            id = base64.b64decode(words[1]).decode(errors="replace")
            try:
                records.append(parse(base64.b64decode(words[2]).decode(), id))
            except ValueError as error:  # UnicodeDecodeError too
                damaged[id] = str(error)
                newer |= {id} if isinstance(error, NewerRecord) else set()
    return Seen(machine, tuple(records), damaged, newer, plain)


def _text(raw: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RecordError(f"{name} is {value!r:.40}")
    return value


def _integer(raw: Mapping[str, Any], name: str, among: Sequence[int]) -> int:
    value = raw.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value not in among:
        raise RecordError(f"{name} is {value!r:.40}")
    return value


def _networks(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 2:
        raise RecordError(f"transit is {value!r:.40}")
    try:
        return tuple(str(ip_network(one)) if isinstance(one, str) else _refused(one) for one in value)
    except ValueError as error:
        raise RecordError(f"transit: {error}") from None


def _refused(value: object) -> str:
    raise RecordError(f"{value!r:.40} is no network")


def _claims(value: object) -> dict[str, str]:
    fits = isinstance(value, dict) and all(
        kind in KINDS and isinstance(token, str) and _TOKEN.fullmatch(token) for kind, token in value.items()
    )
    if not fits:
        raise RecordError(f"claims are {value!r:.40}")
    return dict(value)  # type: ignore[call-overload,no-any-return]
