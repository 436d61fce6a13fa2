"""Pictures of sites: as their stacks' states have them, and as their files and a foreseen mesh will make them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi_wgnode.components.compiled import facts_of
from pulumi_wgnode.components.together import IMAGE
from pulumi_wgnode.contracts.node import config_of
from pulumi_wgnode.hosts.networks.outside import Surroundings
from pulumi_wgnode.hosts.ssh.environment import ROOT, SSH_PORT
from pulumi_wgnode.operations import recorded
from pulumi_wgnode.operations.checking.environment import firewall_inputs
from pulumi_wgnode.operations.checking.stackfile import OfflineSite
from pulumi_wgnode.operations.recorded import Recorded, opened
from pulumi_wgnode.operations.stacks import StackError
from pulumi_wgnode.resources import firewall_state
from wgnode.image import backends
from wgnode.nodeconfig import ConfigError
from wgnode.rollout.picture import Picture, described, draw
from wgnode.topology.compile import Route
from wgnode.topology.model import Topology

COMMAND = "command:remote:Command"


@dataclass(frozen=True, repr=False)
class SiteState:
    """Of a stack that has run; a part is missing where its last `up` did not come to it."""

    stack: str
    parts: Mapping[str, Recorded]
    commands: tuple[str, ...]

    @classmethod
    def of(cls, stack: str, deployment: Mapping[str, Any]) -> SiteState:
        """Raises StackError."""
        raw = [one for one in deployment.get("resources") or () if one.get("type") == COMMAND and not one.get("delete")]
        commands = tuple(sorted(str(opened(one.get("inputs") or {}).get("create")) for one in raw))
        return cls(stack, {one.part: one for one in recorded.of(stack, deployment)}, commands)

    @property
    def picture(self) -> Picture | None:
        """None of a site that has no gateway yet. Raises StackError."""
        if not {"host", "firewall", "gateway"} <= self.parts.keys():
            return None
        host, firewall, gateway = (self.parts[name] for name in ("host", "firewall", "gateway"))
        try:
            node = config_of(gateway.inputs["config"])
        except (ConfigError, KeyError) as error:
            raise StackError(
                f"stack {self.stack!r}: its gateway was deployed by another version ({error}); run `pulumi up -s"
                f" {self.stack}` with this one first"
            ) from None
        routes = tuple(Route(one["to"], one["via"]) for one in host.inputs["networks"].get("routes") or ())
        rules = described(firewall_state.firewall(dict(firewall.inputs), Surroundings.of(firewall.outputs)))
        return Picture(node, routes, rules, self._settings())

    def _settings(self) -> dict[str, Any]:
        connection, networks = self.parts["host"].inputs["connection"], self.parts["host"].inputs["networks"]
        machine = self.parts["gateway"].inputs["machine"]
        return {
            **_way_in(connection),
            "uplink": networks["uplink"],
            "lan.interface": networks["lanInterface"],
            "bootstrap": list(self.commands),
            "gateway.memory": machine["memory"],
            "gateway.cpus": machine["cpus"],
            "gateway.backend": machine.get("backend", backends.DEFAULT),
            "gateway.accelerator": machine.get("accelerator"),
            "gateway.image": self.parts["gateway"].inputs["image"]["sha256"],
        }

    def for_foreseeing(self) -> SiteState:
        """What `foreseen` needs of it, which does not grow with the mesh."""
        kept = {name: one for name, one in self.parts.items() if name == "firewall"}
        if gateway := self.parts.get("gateway"):
            machine = {"machine": gateway.inputs.get("machine")}
            kept["gateway"] = Recorded(gateway.token, gateway.id, machine, {})
        return SiteState(self.stack, kept, self.commands)

    def foreseen(self, model: OfflineSite, topology: Topology, root: Path) -> Picture:
        """What its file and the mesh's make of it, with what only its host knows as the state has it. Raises
        StackError."""
        before = self.parts.get("firewall")
        wanted = firewall_inputs(model, topology.listen_port)
        inputs = {**(before.inputs if before else {}), **{"forward": None, "keep": None}, **wanted}
        around = Surroundings.of(before.outputs) if before else Surroundings()
        settings = self._foreseen_settings(model, root)
        return draw(topology, model.name, facts_of(model), firewall_state.firewall(inputs, around), settings)

    def _foreseen_settings(self, model: OfflineSite, root: Path) -> dict[str, Any]:
        gateway = self.parts["gateway"].inputs if "gateway" in self.parts else {}
        ran_by = (gateway.get("machine") or {}).get("accelerator")
        asked = model.gateway.accelerator if backends.named(model.gateway.backend).accelerated else None
        return {
            **_way_in(model.host.to_dict()),
            "uplink": model.uplink,
            "lan.interface": model.lan.interface,
            "bootstrap": sorted(model.bootstrap),
            "gateway.memory": model.gateway.memory,
            "gateway.cpus": model.gateway.cpus,
            "gateway.backend": model.gateway.backend,
            "gateway.accelerator": (ran_by or asked) if asked == "auto" else asked,
            "gateway.image": image(self.stack, model, root),
        }


def _way_in(connection: Mapping[str, Any]) -> dict[str, Any]:
    """How the host is reached, without secrets; what older versions recorded of their defaults is no difference."""
    jumps = [_way_in(jump) for jump in connection.get("jumpHosts") or ()]
    return {
        "host.address": connection.get("address") or connection.get("sshHost"),
        "host.port": connection.get("port") or SSH_PORT,
        "host.user": connection.get("user") or ROOT,
        "host.hostKeys": sorted(connection.get("hostKeys") or ()),
        **(
            {"host.hostAuthorities": sorted(connection["hostAuthorities"])} if connection.get("hostAuthorities") else {}
        ),
        **(
            {"host.jumpHosts": [f"{one['host.user']}@{one['host.address']}:{one['host.port']}" for one in jumps]}
            if jumps
            else {}
        ),
    }


def image(stack: str, model: OfflineSite, root: Path) -> str:
    """The SHA-256 of the image that a site will have. Raises StackError where nobody can know it."""
    if model.gateway.sha256:
        return model.gateway.sha256
    path = root / (model.gateway.image or IMAGE)
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise StackError(
            f"stack {stack!r}: its image {path} can't be read ({error.strerror}); build it (`make image`), or give"
            " `gateway.sha256`"
        ) from None
