"""A gateway on platforms that lack something: what it does without, and what it refuses by name."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.fake_platform import FakePlatform
from wgnode.appliance import serve as serve_module
from wgnode.appliance.gateway import Gateway
from wgnode.appliance.log import Log
from wgnode.appliance.serve import serve
from wgnode.io.loop import Loop
from wgnode.io.shell import Shell
from wgnode.io.tun import TunOffloads
from wgnode.nodeconfig import LinkConfig, NodeConfig, NodeSecrets, PeerConfig
from wgnode.platform import Confinement
from wgnode.work import Work

PRIVATE = bytes([8] + [7] * 30 + [71])
CARD = LinkConfig("52:54:00:00:00:01", ("192.0.2.1/24",))
CABIN = PeerConfig("cabin", (b"\1" * 32,), ("10.2.0.0/24",))
CONFIG = NodeConfig(
    mesh="dev",
    name="berlin",
    public_keys=(X25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw(),),
    listen_port=0,
    addresses=("10.99.0.1/32",),
    transit=CARD,
    lan=CARD,
    peers=(CABIN,),
)
SECRETS = NodeSecrets((PRIVATE,))


class Given:
    """Layers out of the test's hand."""

    def __init__(self, config: NodeConfig = CONFIG) -> None:
        self.config, self.secrets = lambda: config, lambda: SECRETS

    def image(self) -> dict[str, Any]:
        return {"version": "7"}


class PipeTun:
    """An interface of which nothing comes, and whose name is the system's choice."""

    def __init__(self, name: str, mtu: int, offloads: TunOffloads) -> None:
        self.name, self.offloads, self.counters = f"tun-for-{name}", TunOffloads(), dict[str, int]()
        self.fd, self._other = os.pipe2(os.O_NONBLOCK)

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._other)


class Links:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def prepare(self, config: NodeConfig) -> None:
        self.told.append(("prepare",))

    def announce(self, config: NodeConfig) -> None:
        self.told.append(("announce", config.lan.mac))
        raise OSError("no buffer space")

    def configure_tunnel(self, config: NodeConfig, name: str) -> list[str]:
        self.told.append(("configure", name))
        return ["0.0.0.0/0"]

    def change_tunnel(self, old: NodeConfig, new: NodeConfig, name: str) -> Work[list[str]]:
        yield True
        self.told.append(("change", name, new.mtu))
        return []


def configured(gateway: Gateway, config: NodeConfig) -> dict[str, Any]:
    """The answer."""
    answers: list[dict[str, Any]] = []
    gateway.configure(config.to_json().decode(), SECRETS.to_json().decode(), answers.append)
    (answer,) = answers
    return answer


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def console(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "console", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def running(loop: Loop, console: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes gateways that run on the platform it is given."""
    monkeypatch.setenv("WGNODE_DATAPLANE", "python")
    shells: list[Shell] = []

    def make(**parts: Any) -> Gateway:
        gateway = Gateway(loop, Log(console), FakePlatform(layers=Given(), tun=PipeTun, **parts))
        gateway.load()
        gateway.begin()
        assert gateway.error is None
        assert gateway.shell is not None
        shells.append(gateway.shell)
        return gateway

    yield make
    for shell in shells:
        shell.close()


def test_without_layers_there_is_no_gateway_and_it_says_so(loop: Loop, console: int) -> None:
    gateway, reports = Gateway(loop, Log(console), FakePlatform()), list[Any]()
    gateway.load()
    assert gateway.error == "node configuration: this platform has none for a gateway"
    gateway.health(lambda told: reports.append(told["image"]))
    assert reports == [None]


def test_masquerading_is_refused_where_nothing_can_do_it(loop: Loop, console: int) -> None:
    wanted = replace(CONFIG, lan=replace(CARD, masquerade=True))
    gateway = Gateway(loop, Log(console), FakePlatform(layers=Given(wanted)))
    gateway.load()
    assert gateway.error is not None
    assert "lan.reach: this platform can't masquerade; choose host-route" in gateway.error


def test_links_are_told_the_interfaces_own_name(running: Any, tmp_path: Path) -> None:
    links = Links()
    gateway = running(links=links)
    assert configured(gateway, replace(CONFIG, mtu=1400))["applied"]
    name = f"tun-for-{CONFIG.interface}"
    assert links.told == [("prepare",), ("configure", name), ("change", name, 1400)]
    assert "no route to 0.0.0.0/0" in (tmp_path / "console").read_text()


def test_addresses_are_announced_twice_more_and_what_goes_wrong_there_is_only_told(
    running: Any, loop: Loop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    links, began = Links(), loop.now()
    running(links=links)
    for later, times in ((0.5, 0), (1.5, 1), (2.5, 1), (3.5, 2), (60.0, 2)):
        monkeypatch.setattr(loop, "now", lambda at=began + later: at)
        loop.run_once(0)
        assert links.told.count(("announce", CARD.mac)) == times
    assert "the links' addresses were not announced again: no buffer space" in (tmp_path / "console").read_text()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"peers": (replace(CABIN, endpoint="192.0.2.9:1", persistent_keepalive=5),)}, None),
        ({"peers": (replace(CABIN, public_keys=(b"\2" * 32,)),)}, None),
        ({"addresses": ("10.99.0.2/32",)}, "the tunnel's addresses can't be changed while it runs on this platform"),
        ({"mtu": 1400}, "its MTU can't be changed while it runs on this platform"),
        ({"peers": ()}, "routes into it can't be changed while it runs on this platform"),
        ({"mtu": 1400, "peers": ()}, "its MTU and routes into it can't be changed while it runs on this platform"),
    ],
)
def test_without_links_only_what_needs_none_changes_live(running: Any, change: dict[str, Any], why: str | None) -> None:
    gateway = running()
    new = replace(CONFIG, **change)
    answer = configured(gateway, new)
    assert answer.get("restart") == why
    assert answer.get("applied") == (new.digest if why is None else None)
    assert gateway.config == (new if why is None else CONFIG)


class Machine:
    """Notes what happens to it, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def boot(self, warn: Any) -> None:
        self.events.append("boot")

    def ready(self, warn: Any) -> Confinement:
        self.events.append("ready")
        return Confinement({"seccomp": "0"}, ("seccomp",))

    def alive(self) -> None:
        self.events.append("alive")

    def end(self) -> None:
        self.events.append("end")


@pytest.fixture
def quiet(console: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(serve_module, "Log", lambda now: Log(console, now))
    yield
    gc.unfreeze()


def test_a_machine_is_booted_before_and_told_of_each_step_and_ended_whatever_happens(
    monkeypatch: pytest.MonkeyPatch, quiet: None, capfd: pytest.CaptureFixture[str]
) -> None:
    machine = Machine()
    really, gateways = Gateway.load, list[Gateway]()
    monkeypatch.setattr(
        Gateway, "load", lambda self: (machine.events.append("load"), gateways.append(self), really(self))
    )

    def fails(self: Loop) -> None:
        raise RuntimeError("all is lost")

    monkeypatch.setattr(Loop, "run", fails)
    serve(FakePlatform(machine=machine))
    assert machine.events == ["boot", "load", "ready", "alive", "end"]
    assert "all is lost" in capfd.readouterr().err
    told: list[dict[str, Any]] = []
    gateways[0].health(told.append)
    assert (told[0]["confinement"], told[0]["unconfined"]) == ({"seccomp": "0"}, ["seccomp"])


def test_without_a_machine_what_ends_the_node_is_raised(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    def fails(self: Loop) -> None:
        raise RuntimeError("all is lost")

    monkeypatch.setattr(Loop, "run", fails)
    with pytest.raises(RuntimeError, match="all is lost"):
        serve(FakePlatform())


def test_without_a_host_the_node_begins_at_once(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    begun: list[float] = []
    monkeypatch.setattr(Gateway, "begin", lambda self, *_: begun.append(time.monotonic()))
    monkeypatch.setattr(Loop, "run", lambda self: [self.run_once(0.01) for _ in range(3)])
    before = time.monotonic()
    serve(FakePlatform())
    assert len(begun) == 1
    assert begun[0] - before < 1
