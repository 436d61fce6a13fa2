"""What only one site may know: its private keys and the mesh secret. Crosses stacks sealed (infra/seal.py)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from wgnode.nodeconfig import canonical, decode_key, encode_key
from wgnode.topology.model import TopologyError

FORMAT = 1


@dataclass(frozen=True, repr=False)
class Bundle:
    """One site's secrets. `private_keys` are (current, next), `epoch` counts renewals of the pre-shared keys."""

    mesh: str
    site: str
    private_keys: tuple[bytes, ...]
    mesh_secret: bytes
    epoch: int

    def to_json(self) -> bytes:
        """Canonical bytes: the same secrets always give the same text."""
        return canonical(
            {
                "format": FORMAT,
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
            if found == FORMAT:
                return cls(
                    mesh=str(raw["mesh"]),
                    site=str(raw["site"]),
                    private_keys=tuple(decode_key(key) for key in raw["privateKeys"]),
                    mesh_secret=decode_key(raw["meshSecret"]),
                    epoch=int(raw["epoch"]),
                )
        except (KeyError, TypeError, AttributeError, ValueError):
            raise TopologyError("the bundle is malformed (its content is not shown)") from None
        raise TopologyError(f"the bundle has format {found!r}, this version reads {FORMAT}")
