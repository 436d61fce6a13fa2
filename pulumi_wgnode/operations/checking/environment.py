"""The stack files of an environment judged together: what each says alone, and whether they fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pulumi_wgnode.components import together
from pulumi_wgnode.components.compiled import facts_of
from pulumi_wgnode.contracts.mesh_topology import MeshTopologyInputs
from pulumi_wgnode.operations.checking.files import Files, stack_of
from pulumi_wgnode.operations.checking.stackfile import OfflineSite, StackFile, judge
from pulumi_wgnode.operations.stacks import PROJECT
from pulumi_wgnode.resources import firewall_state
from wgnode.image import backends
from wgnode.rollout.foresee import foresee
from wgnode.rollout.outlook import Side, SiteSide
from wgnode.rollout.policy import Policy, problems
from wgnode.topology.compile import node_config, site_problems
from wgnode.topology.homes import second_homes
from wgnode.topology.model import MeshSpec, Topology, TopologyError
from wgnode.topology.validate import mesh_problems
from wgnode.usersfolder import KEY as USERS_FOLDER

ELSEWHERE = (
    "name",
    "lan.gatewayAddresses",
    "lan.reach",
    "carrier",
    "pathMtu",
    "managementNetworks",
    "firewall",
    "gateway.transit",
    "pool",
    "groups",
    "users",
    "lan.dhcp",
)
"""What of a site's file the node's configuration and the rules tell already."""


LONGEST = 120_000
"""Characters of a stack file that the engine is sure to hand to the program: by a variable, of 128 KiB at most."""
_TOO_LONG = (
    "is too long for the engine, which hands it over in one variable of the environment; put the mesh's sites into a"
    " file beside it, and `sitesFile: NAME.yaml` in the place of `sites:`, a site's users into files of a folder beside"
    " it, and `usersFolder: NAME` in the place of `users:`"
)


@dataclass(frozen=True)
class Found:
    """Something wrong: in which file, at which of its values ("" for all of it), what and what to do."""

    file: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path + ': ' if self.path else ''}{self.message}"


@dataclass(frozen=True)
class Mesh:
    """A mesh and its sites' stacks, by the site's name, and what both say; `policy` is None where it has problems."""

    stack: str
    side: Side
    stacks: Mapping[str, str]
    inputs: MeshTopologyInputs
    models: Mapping[str, OfflineSite]
    policy: Policy | None


@dataclass(frozen=True)
class Environment:
    meshes: Mapping[str, Mesh] = field(default_factory=dict)
    problems: tuple[Found, ...] = ()
    sites: int = 0


def read(files: Files) -> Environment:
    """Problems leave out what they are of: a site that can't be read is in no `Mesh`."""
    read = {path: judge(text) for path, text in sorted(files.texts.items())}
    found = [Found(path, one.path, one.message) for path, file in read.items() for one in file.problems]
    found += [Found(path, f"{PROJECT}:site.{USERS_FOLDER}", what) for path, what in files.folders.items()]
    found += [Found(path, "", _TOO_LONG) for path, length in files.lengths.items() if length > LONGEST]
    by_stack = {stack_of(path): (path, file) for path, file in read.items()}
    meshes: dict[str, Mesh] = {}
    for stack, (path, file) in by_stack.items():
        if file.role == "mesh" and isinstance(file.values["mesh"], dict):
            mesh, more = _mesh(stack, path, file, _sites_of(stack, by_stack))
            found += more
            if mesh:
                meshes[stack] = mesh
    found += _strays(by_stack)
    count = sum(file.role == "site" for file in read.values())
    return Environment(meshes, tuple(dict.fromkeys(found)), count)


def _sites_of(mesh: str, by_stack: Mapping[str, tuple[str, StackFile]]) -> dict[str, tuple[str, StackFile]]:
    """By stack, those that name it, fully qualified or not."""
    return {stack: one for stack, one in by_stack.items() if _names(one[1]) == mesh}


def _names(file: StackFile) -> str | None:
    named = file.values["site"].get("mesh") if file.role == "site" else None
    return named.rsplit("/", 1)[-1] if isinstance(named, str) else None


def _strays(by_stack: Mapping[str, tuple[str, StackFile]]) -> Iterator[Found]:
    for path, file in by_stack.values():
        mesh = _names(file)
        if mesh is not None and (mesh not in by_stack or by_stack[mesh][1].role != "mesh"):
            what = "is a stack of another role" if mesh in by_stack else "has no file here"
            yield Found(path, f"{PROJECT}:site.mesh", f"the mesh's stack {mesh!r} {what}; name one whose role is mesh")


def _mesh(
    stack: str, path: str, file: StackFile, sites: Mapping[str, tuple[str, StackFile]]
) -> tuple[Mesh | None, list[Found]]:
    raw: dict[str, Any] = file.values["mesh"]
    found = [Found(path, f"{PROJECT}:mesh.{one.path}", one.message) for one in mesh_problems(raw, path)]
    fits = not found
    known = raw.get("sites") if isinstance(raw.get("sites"), dict) else {}
    found += _both_sides(path, known or {}, sites)
    found += _second_homes(sites)
    policy, more = _policy(path, file, known or {})
    found += more
    if not fits or not isinstance(file.model, MeshTopologyInputs):
        return None, found
    spec = MeshSpec.from_dict(file.model.to_dict())
    models = {model.name: (at, model) for _, at, model in _models(sites) if model.name in spec.sites}
    found += _fit(spec, models)
    sides = {name: _side(model, spec.listen_port) for name, (_, model) in models.items()}
    named = {model.name: one for one, _, model in _models(sites)}
    return Mesh(stack, Side(spec, sides), named, file.model, {n: m for n, (_, m) in models.items()}, policy), found


def _models(sites: Mapping[str, tuple[str, StackFile]]) -> Iterator[tuple[str, str, OfflineSite]]:
    """(stack, file, what it says), of those that can be read."""
    for stack, (path, file) in sites.items():
        if isinstance(file.model, OfflineSite):
            yield stack, path, file.model


def _both_sides(path: str, known: Mapping[str, Any], sites: Mapping[str, tuple[str, StackFile]]) -> Iterator[Found]:
    named: dict[str, str] = {}
    for stack, (file, one) in sites.items():
        name = one.values["site"].get("name")
        if not isinstance(name, str):
            continue
        if (other := named.setdefault(name, stack)) != stack:
            yield Found(
                file, f"{PROJECT}:site.name", f"stack {other!r} is site {name!r} too; one of both is another site"
            )
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            yield Found(
                file,
                f"{PROJECT}:site.name",
                f"site {name!r} is not in {path} (its sites: {there}); `wgnode site new` prints the entry to add there",
            )
    for name in sorted(known.keys() - named.keys()):
        yield Found(
            path,
            f"{PROJECT}:mesh.sites.{name}",
            f"no stack file here is of site {name!r}; add it (`wgnode site new {name}`), or take the site out",
        )


def _second_homes(sites: Mapping[str, tuple[str, StackFile]]) -> Iterator[Found]:
    of_site = {str(file.values["site"].get("name")): (path, file) for path, file in sites.values()}
    users = {name: file.values["site"].get("users") for name, (_, file) in of_site.items()}
    for site, problem in second_homes(users):
        yield Found(of_site[site][0], f"{PROJECT}:site{problem.path}", problem.message)


def _policy(path: str, file: StackFile, known: Mapping[str, Any]) -> tuple[Policy | None, list[Found]]:
    if file.policy is None:
        return None, []
    raw = file.policy.to_dict()
    found = [Found(path, f"{PROJECT}:rollout.{one.path}", one.message) for one in problems(raw, list(known))]
    return (None if found else Policy.of(raw)), found


def _fit(spec: MeshSpec, models: Mapping[str, tuple[str, OfflineSite]]) -> Iterator[Found]:
    """Whether each site's own values fit the mesh. All LANs are held against a transit network once, and against that
    of each site only where there is something to find."""
    try:
        topology = foresee(replace(spec, sites=_not_renamed(spec)), None, {}).topology
    except TopologyError as error:
        yield Found("", "", str(error))
        return
    clear: dict[tuple[Any, ...], bool] = {}
    for name, (path, model) in models.items():
        facts = facts_of(model)
        networks = facts.transit.networks
        if networks not in clear:
            clear[networks] = not site_problems(topology, name, facts)
        whole = topology if not clear[networks] else _alone(topology, name)
        wrong = list(site_problems(whole, name, facts)) or list(_misfits(topology, name, model))
        yield from (Found(path, "", problem) for problem in wrong)


def _misfits(topology: Topology, name: str, model: OfflineSite) -> Iterator[str]:
    """What the site's backend can't do of what fits the mesh."""
    backend = backends.named(model.gateway.backend)
    if backends.has_misfits(backend):
        for why in backends.misfits({"backend": backend.name}, node_config(topology, name, facts_of(model))):
            yield f"site {name!r}: backend {backend.name}: {why}; choose another in gateway.backend"


def _not_renamed(spec: MeshSpec) -> Mapping[str, Any]:
    return {name: replace(site, renamed_from=None) for name, site in spec.sites.items()}


def _alone(topology: Topology, name: str) -> Topology:
    return replace(topology, sites={name: topology.sites[name]})


def _side(model: OfflineSite, listen_port: int) -> SiteSide:
    rules = firewall_state.firewall(firewall_inputs(model, listen_port))
    return SiteSide(facts_of(model), rules, dict(_settings(model.to_dict())))


def firewall_inputs(model: OfflineSite, listen_port: int) -> dict[str, Any]:
    """NatFirewall's, but for what only the host knows."""
    firewall = dict(model.to_dict().get("firewall", {}))
    return {
        "uplink": model.uplink,
        "transit": model.gateway.transit.to_dict(),
        "listenPort": listen_port,
        "managementNetworks": model.management_networks,
        "sshPort": model.host.ssh_port,
        "connection": {"port": model.host.port},
        "leaveAlone": [model.lan.interface, *firewall.pop("leaveAlone", [])],
        **firewall,
        "allow": [{"from": [], **one} for one in firewall.get("allow", [])],
    }


def _settings(raw: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The rest of a site's file, flat: `gateway.memory`."""
    for key, value in raw.items():
        inner = f"{path}{key}"
        if inner in ELSEWHERE:
            continue
        if isinstance(value, Mapping):
            yield from _settings(value, f"{inner}.")
        elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
            for number, one in enumerate(value):
                yield from _settings(one, f"{inner}[{number}].")
        elif value != "" or inner not in together.SECRETS:
            yield inner, ", ".join(map(str, value)) if isinstance(value, list) else value
