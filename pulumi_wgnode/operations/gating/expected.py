"""What a site's gateway has to report, out of its stack's state: of the change that its last `up` has made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pulumi_wgnode.contracts.node import config_of
from pulumi_wgnode.hosts.host import Connection
from pulumi_wgnode.operations import recorded
from pulumi_wgnode.operations.rolling.states import SiteState
from pulumi_wgnode.operations.stacks import StackError
from pulumi_wgnode.resources.inputs import connection
from wgnode.nodeconfig import ConfigError, NodeConfig, encode_key
from wgnode.rollout.gate import Wanted
from wgnode.rollout.plan import Plan


@dataclass(frozen=True, repr=False)
class Expected:
    """`site` is its name in the mesh, `config` what its node has."""

    stack: str
    site: str
    connection: Connection
    config: NodeConfig
    wanted: Wanted


def of(stack: str, deployment: Mapping[str, Any]) -> Expected:
    """Raises StackError for a stack that has no gateway, or whose state is of another version."""
    found = next((one for one in recorded.of(stack, deployment) if one.part == "gateway"), None)
    if found is None:
        raise StackError(f"stack {stack!r} has no gateway yet: `pulumi up -s {stack}` makes it")
    try:
        config = config_of(found.inputs["config"])
        wanted = Wanted(
            image=found.inputs["image"]["sha256"],
            applied=found.outputs["applied"],
            live=found.outputs["live"],
            applied_at=_applied_at(deployment),
            names={encode_key(peer.public_keys[0]): peer.name for peer in config.peers},
        )
        return Expected(stack, config.name, connection(dict(found.inputs)), config, wanted)
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise StackError(
            f"stack {stack!r}: its gateway was deployed by another version ({error}); run `pulumi up -s {stack}` with"
            " this one first"
        ) from None


def of_plan(plan: Plan, stack: str, deployment: Mapping[str, Any]) -> str | None:
    """Why a stack's state is not what the plan wants there, None where it is."""
    bound = plan.stacks.get(stack)
    if bound is None:
        return f"the plan of {plan.environment} knows no stack {stack}"
    picture = SiteState.of(stack, deployment).picture
    found = picture.digests(plan.unknown) if picture else {}
    differ = sorted(part for part, digest in bound.after.items() if found.get(part) != digest)
    return f"it is not at the plan's commit {plan.commit[:12]}: other {', '.join(differ)}" if differ else None


def _applied_at(deployment: Mapping[str, Any]) -> float:
    """When anything of the site was last changed, seconds since 1970: a firewall cuts tunnels too. Raises KeyError,
    ValueError."""
    parts = [one for one in deployment["resources"] if one.get("type") in recorded.PARTS and not one.get("delete")]
    times = [one.get("modified") or deployment["manifest"]["time"] for one in parts]
    return max(datetime.fromisoformat(time).timestamp() for time in times)
