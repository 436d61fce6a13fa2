"""A host that is away, by the real engine: two resources on it stand in the state, and nothing of the lab is needed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pulumi_wgnode.resources.hypervisor_host import HypervisorHost
from pulumi_wgnode.resources.nat_firewall import NatFirewall
from tests.unit.pulumi_wgnode.hosts.ssh_server import new_key, ssh_server

from .project import PIN, SSH_KEY, Project

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
STACK = ("--stack", "away")
UP = ("up", "--yes", "--skip-preview", *STACK)
DESTROY = ("destroy", "--yes", "--skip-preview", *STACK)
PREFIX = "urn:pulumi:away::wgmesh::"
PROVIDER, ID = f"{PREFIX}pulumi:providers:wgnode::default_0_1_0", "00000000-0000-4000-8000-000000000000"
PROGRAM = """
import json
from pathlib import Path
import pulumi
from pulumi_wgnode import sdk

told = json.loads((Path(__file__).parent / "told.json").read_text())
own = sdk.Provider("own", **told["options"]) if told["options"] else None
timeouts = pulumi.CustomTimeouts(**told["timeouts"]) if told["timeouts"] else None
opts = pulumi.ResourceOptions(provider=own, custom_timeouts=timeouts)
site = {"id": "3fa9c1d2e4b50607", "mesh": "away", "name": "away"}
sdk.HypervisorHost("host", connection=told["connection"], site=site, networks=told["networks"], opts=opts)
sdk.NatFirewall(
    "firewall", connection=told["connection"], site=site, uplink="wan0", transit={}, listen_port=51820,
    management_networks=["192.0.2.0/24"], opts=opts,
)
"""

MANIFEST = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}


class Away(Project):
    """A stack whose two resources are on a host at a port of this machine."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        super().__init__(folder, environment)
        (folder / "infra").unlink()
        (folder / "infra").mkdir()
        (folder / "infra" / "__main__.py").write_text(PROGRAM)
        self.done("stack", "init", "away")
        self.configuration = folder / "stacks" / "Pulumi.away.yaml"
        self._initial = self.configuration.read_text()

    def deployed(self, port: int) -> None:
        """The resources stand in the state as if `up` had made them there."""
        key = {"hostKeys": [PIN], "privateKey": SSH_KEY}
        self.connection = {"address": "127.0.0.1", "port": port, "user": "root", **key}
        self.program()
        (self.folder / "state.json").write_text(json.dumps({"version": 3, "deployment": self._deployment()}))
        self.done("stack", "import", "--file", "state.json", *STACK)

    def options(self, **values: str) -> None:
        """As `pulumi config set` writes them."""
        lines = "".join(f'\n  wgnode:{name}: "{value}"' for name, value in values.items())
        self.configuration.write_text(f"{self._initial}\nconfig:{lines}\n")

    def program(self, *, uplink: str = "wan0", timeouts: dict[str, str] | None = None, **options: Any) -> None:
        """What the program says from now on; `options` are those of a provider of its own."""
        networks = {"uplink": uplink, "lanInterface": "lan0"}
        told = {"connection": self.connection, "networks": networks, "options": options}
        told["timeouts"] = timeouts
        (self.folder / "infra" / "told.json").write_text(json.dumps(told))

    def resources(self) -> dict[str, dict[str, Any]]:
        """By type, without the package."""
        exported = json.loads(self.done("stack", "export", *STACK))["deployment"].get("resources", [])
        return {resource["type"].rsplit(":", 1)[1]: resource for resource in exported}

    def _deployment(self) -> dict[str, Any]:
        host, firewall = HypervisorHost(), NatFirewall()
        networks = {"uplink": "wan0", "lanInterface": "lan0"}
        rules = {"uplink": "wan0", "transit": {}, "listenPort": 51820, "managementNetworks": ["192.0.2.0/24"]}
        to = {"connection": self.connection, "site": {"id": "3fa9c1d2e4b50607", "mesh": "away", "name": "away"}}
        version = {"version": "0.1.0"}
        resources = [
            {"urn": f"{PREFIX}pulumi:pulumi:Stack::wgmesh-away", "type": "pulumi:pulumi:Stack"},
            {"urn": PROVIDER, "id": ID, "type": "pulumi:providers:wgnode", "inputs": version, "outputs": version},
            _deployed("host", host, host.check({**to, "networks": networks}, {})),
            _deployed("firewall", firewall, firewall.check({**to, **rules}, {})),
        ]
        return {"manifest": MANIFEST, "resources": [{"custom": "id" in one, **one} for one in resources]}


def _deployed(name: str, kind: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """As the engine recorded it when all was as it should be."""
    token = f"wgnode:index:{type(kind).__name__}"
    recorded = {"type": token, "inputs": inputs, "outputs": {**inputs, "facts": {}}, "refreshBeforeUpdate": True}
    parent, provider = f"{PREFIX}pulumi:pulumi:Stack::wgmesh-away", f"{PROVIDER}::{ID}"
    return {"urn": f"{PREFIX}{token}::{name}", "id": name, "parent": parent, "provider": provider, **recorded}


@contextmanager
def refused() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    yield port


@contextmanager
def mute() -> Iterator[int]:
    """Connections are made, and nobody says a word: a hung SSH server, or a forward to a host that is off."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def black_hole() -> Iterator[int]:
    """Its queue of connections is full, so that further ones get no answer at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener, ExitStack() as fillers:
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def away(tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> Away:
    """Deployed on a host that now refuses connections."""
    project = Away(tmp_path / "project", pulumi_environment())
    with refused() as port:
        project.deployed(port)
    return project


def seconds(project: Away, *command: str) -> float:
    """That a command took which tells that the host is away and succeeds."""
    start = time.monotonic()
    said = project.done(*command)
    took = time.monotonic() - start
    where = f"host root@127.0.0.1:{project.connection['port']}"
    assert said.split("Diagnostics:")[1].count(f"warning: {where}: ") == 1, "one cause is told once"
    assert said.split("Diagnostics:")[1].count(f"    {where} cannot be reached") == 2, "each resource refers to it"
    return took


def test_preview_and_refresh_end_within_ten_seconds_whichever_way_a_host_is_away(away: Away) -> None:
    refresh, preview = ("refresh", "--yes", "--skip-preview", *STACK), ("preview", *STACK)
    engine = {command: seconds(away, *command) for command in (refresh, preview)}
    for way, command in ((black_hole, refresh), (mute, preview)):
        with way() as port:
            away.deployed(port)
            waited = seconds(away, *command)
        assert waited - engine[command] < 10, f"{way.__name__}: {waited:.1f} s, the engine alone {engine[command]:.1f}"


def test_skipping_shows_no_difference_passes_an_update_over_and_forgets_nothing(away: Away) -> None:
    before = away.resources()
    away.options(skipUnreachable="true")
    assert "cannot connect" in away.done("preview", "--expect-no-changes", *STACK)
    away.program(uplink="wan1")
    assert "passed over (wgnode:skipUnreachable)" in away.done(*UP)
    after = away.resources()
    assert after["HypervisorHost"]["outputs"].pop("passedOver")
    key = after["HypervisorHost"]["outputs"]["connection"].pop("privateKey")
    assert "ciphertext" in key, (
        "one that lies open in a state, as of a program that did not say that it is secret, is sealed"
    )
    del before["HypervisorHost"]["outputs"]["connection"]["privateKey"]
    assert after["HypervisorHost"]["outputs"] == before["HypervisorHost"]["outputs"]
    assert away.pulumi("preview", "--expect-no-changes", *STACK).returncode != 0, "it is still to be done"
    away.options(skipUnreachable="false")
    failed = away.pulumi(*UP)
    assert failed.returncode != 0
    assert "error: host root@127.0.0.1" in failed.stdout


def test_what_is_on_a_host_that_is_away_is_deleted_only_when_told_to(away: Away) -> None:
    said = away.pulumi(*DESTROY)
    assert said.returncode != 0
    assert "WGNODE_DELETE_UNREACHABLE=true before the command" in said.stdout
    assert "docs/how-to/forget-a-host.md" in said.stdout
    assert {"HypervisorHost", "NatFirewall"} <= set(away.resources())
    said_so = away.done(*DESTROY, WGNODE_DELETE_UNREACHABLE="true")
    assert "forgotten (wgnode:deleteUnreachable): what is on it stays there" in said_so
    assert away.resources() == {}


def test_a_provider_of_its_own_with_options_replaces_nothing(away: Away) -> None:
    away.program(skip_unreachable=True, delete_unreachable=True)
    said = away.done(*UP)
    assert "replac" not in said
    assert away.resources()["NatFirewall"]["id"] == "firewall"
    assert "forgotten" in away.done(*DESTROY)


def test_a_state_of_a_newer_version_is_refused_by_the_preview_and_stays(away: Away) -> None:
    exported = json.loads(away.done("stack", "export", *STACK))
    for resource in exported["deployment"]["resources"]:
        if resource["type"] == "wgnode:index:NatFirewall":
            resource["outputs"]["written"] = {"format": 99, "by": "0.9.0"}
    (away.folder / "state.json").write_text(json.dumps(exported))
    away.done("stack", "import", "--file", "state.json", *STACK)
    for command in (("preview", *STACK), UP):
        refused = away.pulumi(*command)
        assert refused.returncode != 0
        assert "the state of this resource has format 99, of wgnode 0.9.0" in refused.stdout
        assert "docs/how-to/older-version.md" in refused.stdout
    assert away.resources()["NatFirewall"]["outputs"]["written"] == {"format": 99, "by": "0.9.0"}


def test_a_wrong_option_is_told_before_anything_is_done(away: Away) -> None:
    away.options(skipUnreachabel="true", deleteUnreachable="maybe")
    said = away.pulumi(*UP)
    assert said.returncode != 0
    assert "wgnode:skipUnreachabel is no option of the provider; did you mean `skipUnreachable`?" in said.stdout
    assert "wgnode:deleteUnreachable must be true or false, not 'maybe'" in said.stdout
    assert "Traceback" not in said.stdout


def test_custom_timeouts_end_a_creation_by_name(away: Away) -> None:
    """On a host that lets us in and then hangs, for which we would wait five times as long.

    An update would have asked it before, for what there is, and be told at once that it hangs.
    """
    private, public = new_key()
    (away.folder / "nothing.json").write_text(json.dumps({"version": 3, "deployment": {"manifest": MANIFEST}}))
    away.done("stack", "import", "--file", "nothing.json", *STACK)
    with ssh_server(public) as server:
        server.hang = "session"
        away.connection |= {"port": server.port, "hostKeys": [server.pin], "privateKey": private}
        away.program(timeouts={"create": "3s"})
        failed = away.pulumi(*UP)
    assert failed.returncode != 0
    assert "host may take 3 s by its customTimeouts, which are over" in failed.stdout
    assert "Traceback" not in failed.stdout
    assert "HypervisorHost" not in away.resources()
