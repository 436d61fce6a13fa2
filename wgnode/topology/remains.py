"""What hosts still have of a mesh, and the mesh that is made of it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wgnode.nodeconfig import NodeConfig, NodeSecrets
from wgnode.topology import labels
from wgnode.topology.bundle import Bundle
from wgnode.topology.model import Network, TopologyError


class RecoveryError(TopologyError):
    """What the hosts have is not one mesh; `problems` has all reasons, each with the way out."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, repr=False)
class Remains:
    """What the host of `site`, as its stack calls it, still has of its gateway. `bundle` is None if it can't be read.

    `label` says where it comes from ("stack dev-berlin"), for messages; `recorded_id` is the host's own record of whose
    gateway it has, `former` the name that the site had before, which its host may still have.
    """

    site: str
    label: str
    config: NodeConfig
    secrets: NodeSecrets | None
    bundle: Bundle | None = None
    recorded_id: str | None = None
    former: str | None = None

    @property
    def id(self) -> str | None:
        return self.recorded_id or (self.bundle.id if self.bundle else None)


@dataclass(frozen=True, repr=False)
class RecoveredSite:
    """`private_keys` is empty for a site whose host is lost; then `lans` and `endpoint` are what its peers know.

    `id` is None where its host has none (it is older than ids, or lost), `lan_mac` where the host is lost. `labels` are
    those of the pre-shared keys that it has with others, `mtu` is its tunnel's, None where the host is lost.
    """

    index: int
    lans: tuple[str, ...]
    endpoint: str | None
    private_keys: tuple[bytes, ...] = ()
    id: str | None = None
    lan_mac: str | None = None
    labels: tuple[int, ...] = labels.NEW
    mtu: int | None = None


@dataclass(frozen=True, repr=False)
class RecoveredMesh:
    """`keepalive` is None where no site has one, `mesh_secret` where no bundle was readable. `warnings` are for people:
    what differs between hosts, and what that means."""

    name: str
    tunnel: tuple[Network, ...]
    listen_port: int
    keepalive: int | None
    epoch: int | None
    mesh_secret: bytes | None
    sites: Mapping[str, RecoveredSite]
    warnings: tuple[str, ...] = ()
