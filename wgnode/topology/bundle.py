"""What only one site may know: its private keys and the mesh secret. Crosses stacks sealed (pulumi_wgnode/seal.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from wgnode import formats
from wgnode.nodeconfig import canonical, decode_key, encode_key
from wgnode.topology.identity import parse_id
from wgnode.topology.model import NewerTopology, TopologyError

FORMAT = 2
FORMAT_WITHOUT_ID = 1


@dataclass(frozen=True, repr=False)
class Bundle:
    """One site's secrets. `private_keys` are (current, next), `epoch` counts renewals of the pre-shared keys.

    `id` is the site's; None in one of before sites had ids.
    """

    mesh: str
    site: str
    private_keys: tuple[bytes, ...]
    mesh_secret: bytes
    epoch: int
    id: str | None

    def to_json(self) -> bytes:
        """Canonical bytes: the same secrets always give the same text."""
        return canonical(
            {
                **({"format": FORMAT_WITHOUT_ID} if self.id is None else {"format": FORMAT, "id": self.id}),
                "mesh": self.mesh,
                "site": self.site,
                "privateKeys": [encode_key(key) for key in self.private_keys],
                "meshSecret": encode_key(self.mesh_secret),
                "epoch": self.epoch,
            }
        )

    @classmethod
    def from_json(cls, blob: bytes) -> Bundle:
        """Raises TopologyError, whose text never quotes the blob."""
        try:
            raw = json.loads(blob)
            found = raw["format"]
            if found in (FORMAT, FORMAT_WITHOUT_ID):
                return cls(
                    mesh=str(raw["mesh"]),
                    site=str(raw["site"]),
                    private_keys=tuple(decode_key(key) for key in raw["privateKeys"]),
                    mesh_secret=decode_key(raw["meshSecret"]),
                    epoch=int(raw["epoch"]),
                    id=parse_id(raw["id"]) if found == FORMAT else None,
                )
        except (KeyError, TypeError, AttributeError, ValueError):
            raise TopologyError("the bundle is malformed (its content is not shown)") from None
        if why := formats.newer("the bundle", found, FORMAT):
            raise NewerTopology(why)
        raise TopologyError(f"the bundle has format {found!r}, this version reads {FORMAT_WITHOUT_ID} and {FORMAT}")
