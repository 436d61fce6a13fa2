"""HypervisorHost and NatFirewall on real hosts: what they make, see, mend, take back and leave behind."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.hosts import network, pool, probe, undo
from infra.hosts.host import Connection, Host, HostError, HostKeyMismatch, HostUnreachable, NoRoot, NoShell
from infra.provider.kind import Partial
from infra.resources import successor
from infra.resources.firewall_checks import require_ssh_port
from infra.resources.firewall_state import look
from infra.resources.inputs import connection
from infra.resources.unread import OnHost
from lab.api import Lab
from tests.unit.hosts.ssh_server import new_key

from .host_site import Site

pytestmark = pytest.mark.lab


@pytest.fixture(params=["berlin", "cabin"])
def site(request: pytest.FixtureRequest, lab: Lab, in_runner: Any) -> Iterator[Site]:
    made = Site(lab, request.param, in_runner)
    yield made
    made.clean()


@pytest.fixture
def berlin(lab: Lab, in_runner: Any) -> Iterator[Site]:
    made = Site(lab, "berlin", in_runner)
    yield made
    made.clean()


@pytest.fixture
def cabin(lab: Lab, in_runner: Any) -> Iterator[Site]:
    made = Site(lab, "cabin", in_runner)
    yield made
    made.clean()


def test_both_resources_come_up_clean_and_leave_the_host_as_it_was_found(site: Site, lab: Lab) -> None:
    before = site.snapshot()
    host_inputs, firewall_inputs = site.host_inputs(), site.firewall_inputs()
    host_state = site.create(site.host, host_inputs)
    firewall_state = site.create(site.firewall, firewall_inputs)
    assert site.drift(site.host, host_state, host_inputs)[1] == []
    assert site.drift(site.firewall, firewall_state, firewall_inputs)[1] == []
    assert host_state["facts"]["qemu"]
    assert host_state["facts"]["interfaces"] == ["lan0", "wan0"]
    assert "10.99.0.0/24 via" in site.shell("ip route")
    assert lab.ping(f"{site.name}.client", site.lan["host"][0].split("/")[0]), "the LAN reaches its router"
    clients = {"berlin": ["10.1.0.100", "fd00:10:1::100"], "cabin": ["10.2.0.100", "fd00:10:2::100"]}[site.name]
    found = site.run(
        lambda: probe.holders(pool.connect(connection(host_inputs)), clients, tap="wgnode-lan", lan="lan0")
    )
    assert sorted(found) == clients, "asked of the LAN, as before a gateway takes an address"
    assert site.snapshot() != before
    site.clean()
    assert site.snapshot() == before
    assert lab.ping(f"{site.name}.client", site.lan["host"][0].split("/")[0])


def test_creating_again_adopts_what_is_there_and_cuts_nothing(berlin: Site) -> None:
    inputs = berlin.firewall_inputs()
    first = berlin.create(berlin.firewall, inputs)
    handles = berlin.shell("nft -a list table inet wgnode")
    again = berlin.create(berlin.firewall, inputs)
    assert {name for name in first if first[name] != again[name]} == {"claim", "owner"}, "another resource has it now"
    assert berlin.shell("nft -a list table inet wgnode") == handles


def test_a_rule_and_a_link_removed_by_hand_are_named_and_mended(berlin: Site) -> None:
    host_inputs, firewall_inputs = berlin.host_inputs(), berlin.firewall_inputs()
    host_state = berlin.create(berlin.host, host_inputs)
    firewall_state = berlin.create(berlin.firewall, firewall_inputs)
    berlin.shell(
        "nft delete rule inet wgnode prerouting handle"
        " $(nft -a list chain inet wgnode prerouting | sed -n 's/.*dnat-v4.*handle //p');"
        " ip link del wgnode-lan; ip route del 10.99.0.0/24; sysctl -q -w net.ipv4.ip_forward=0"
    )
    firewall_state, drifted = berlin.drift(berlin.firewall, firewall_state, firewall_inputs)
    assert drifted == ['rules["dnat-v4"]']
    host_state, drifted = berlin.drift(berlin.host, host_state, host_inputs)
    assert set(drifted) == {'links["wgnode-lan"]', 'routes["10.99.0.0/24"]', 'sysctls["net/ipv4/ip_forward"]'}
    berlin.run(lambda: berlin.firewall.update("id", firewall_state, firewall_inputs, False))
    berlin.run(lambda: berlin.host.update("id", host_state, host_inputs, False))
    assert berlin.drift(berlin.firewall, firewall_state, firewall_inputs)[1] == []
    assert berlin.drift(berlin.host, host_state, host_inputs)[1] == []


_DIRTY = """echo welcome; echo welcome >&2; printf 'no newline'; printf 'nor here' >&2; stty sane
trap 'echo bye; echo bye >&2; exit 9' EXIT; shopt -s expand_aliases; alias env=echo sudo=echo; sudo() { echo; }
export CDPATH=/ TMPDIR=/nowhere LC_ALL=xx_YY.UTF-8; cd /; umask 777; set -eu; read -t 0.1 line || true
"""
_BINARY = bytes(range(256)) * 40


def test_what_a_real_login_shell_and_sudo_print_is_told_from_answers_and_what_cannot_work_is_named(
    cabin: Site,
) -> None:
    to = connection(cabin.host_inputs())

    def refused(kind: type[HostError], said: str, break_it: str, mend_it: str) -> None:
        cabin.shell(break_it)
        try:
            for ask in (lambda: _fresh(to).run(["true"], check=False), lambda: _fresh(to).write_file("/etc/no", b"x")):
                with pytest.raises(kind, match=said):
                    cabin.run(ask)
        finally:
            cabin.shell(mend_it)

    cabin.shell(f"cp /home/ops/.bashrc /root/bashrc; cat >/home/ops/.bashrc <<'X'\n{_DIRTY}X\n")
    cabin.shell("echo 'printf profile' >/etc/profile.d/dirty.sh; echo motd >/etc/motd")
    try:
        host = cabin.run(lambda: _fresh(to))
        result = cabin.run(lambda: host.run(["sh", "-c", "cat; id -un; echo err >&2; exit 3"], input=b"x", check=False))
        assert (result.code, result.stdout, result.stderr) == (3, "xroot\n", "err\n")
        assert cabin.run(lambda: host.write_file("/etc/dirty", _BINARY, mode=0o640)) is True
        assert cabin.run(lambda: host.read_file("/etc/dirty")) == _BINARY
        assert cabin.shell("stat -c '%a %U' /etc/dirty") == "640 root\n"
        state = cabin.create(cabin.firewall, cabin.firewall_inputs())
        assert cabin.drift(cabin.firewall, state, cabin.firewall_inputs())[1] == []
    finally:
        cabin.shell("rm -f /etc/dirty /etc/profile.d/dirty.sh; : >/etc/motd; mv /root/bashrc /home/ops/.bashrc")
    shell = "usermod -s /bin/bash ops"
    refused(NoShell, r"has nologin for a login shell .*usermod -s", "usermod -s /usr/sbin/nologin ops", shell)
    refused(NoShell, r"exit code 1, printed nothing", "usermod -s /bin/false ops", shell)
    rc = "sed -i '1iecho only people; exit 0' /home/ops/.bashrc"
    refused(NoShell, "printed 'only people'", rc, "sed -i 1d /home/ops/.bashrc")
    keys = "/home/ops/.ssh/authorized_keys"
    refused(
        NoShell,
        "printed 'rsync only'",
        f"sed -i 's/^/command=\"echo rsync only\" /' {keys}",
        f"sed -i 's/^command=.* ssh-/ssh-/' {keys}",
    )
    tty = "/etc/sudoers.d/zz-tty"
    refused(NoRoot, "only on a terminal.*!requiretty", f"echo 'Defaults requiretty' >{tty}", f"rm {tty}")
    refused(NoRoot, "without a password.*NOPASSWD", f"echo 'ops ALL=(ALL) ALL' >{tty}", f"rm {tty}")
    refused(NoRoot, "finds no sudo there", "mv /usr/bin/sudo /usr/bin/sudo.away", "mv /usr/bin/sudo.away /usr/bin/sudo")
    assert cabin.run(lambda: _fresh(to).run(["id", "-un"]).stdout) == "root\n"


_SSHD = "/etc/ssh/sshd_config.d/a.conf"
_KEYS = "/home/ops/.ssh/authorized_keys"
# What happened to the host since the last update, what is configured since, and what brings the host back.
_WAYS: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    (  # a key instead of the agent
        "true",
        {"agent": False},
        "unread",
        "true",
    ),
    (  # another key
        f"sed -i 's/^ssh-/#ssh-/; $ a '{{new}} {_KEYS}",
        {},
        "unread",
        f"sed -i '$ d; s/^#ssh-/ssh-/' {_KEYS}",
    ),
    (  # root instead of sudo
        f"echo 'ops ALL=(ALL) ALL' >/etc/sudoers.d/zz; mkdir -m 700 /root/.ssh; cp {_KEYS} /root/.ssh/;"
        f" echo 'PermitRootLogin prohibit-password' >{_SSHD}; systemctl restart ssh",
        {"user": "root"},
        "unread",
        f"rm -r /etc/sudoers.d/zz /root/.ssh {_SSHD}; systemctl restart ssh",
    ),
    (  # another port
        f"echo 'Port 2222' >{_SSHD}; systemctl restart ssh;"
        " nft insert rule inet wgnode input-end tcp dport 2222 accept",
        {"port": 2222},
        "unreached",
        f"rm {_SSHD}; systemctl restart ssh; nft insert rule inet wgnode input-end tcp dport 22 accept",
    ),
)


def test_what_opened_a_host_is_replaced_by_what_does_now_in_one_update(cabin: Site) -> None:
    """The read before an update has the former connection: it leaves a mark, and the update has the present one."""
    own = cabin.connection
    kinds = ((OnHost(cabin.host), cabin.host_inputs), (OnHost(cabin.firewall), cabin.firewall_inputs))
    states = [cabin.create(kind, inputs()) for kind, inputs in kinds]
    private, public = new_key()
    for happens, configured, mark, back in _WAYS:
        former, present = own, {**own, **(configured or {"privateKey": private})}
        if "agent" in configured:  # it is the former that had it
            former = {**{name: value for name, value in own.items() if name != "privateKey"}, "agent": True}
        for used in (own, former, present):
            pool.forget(connection({"connection": used}))
        successor._now.clear()  # another run of the engine
        cabin.shell(happens.format(new=f"'{public.get_name()} {public.get_base64()}'"))
        try:
            for number, (kind, inputs) in enumerate(kinds):
                marked = mark if number == 0 else None  # the next one's read is told of the present connection
                states[number] = _replaced(cabin, kind, inputs, (former, present), states[number], marked)
        finally:
            for used in (own, former, present):
                pool.forget(connection({"connection": used}))
            cabin.shell(back)
            cabin.connection = own


def _replaced(
    cabin: Site, kind: OnHost, inputs: Callable[[], Any], connections: tuple[Any, Any], state: Any, mark: str | None
) -> Any:
    """The state after a read by the former of two connections and an update by the present one."""
    former, present = connections
    cabin.connection = former
    state, read = cabin.read(kind, {**state, "connection": cabin.connection}, inputs())
    assert {"unread", "unreached"} & state.keys() == ({mark} if mark else set())
    cabin.connection = present
    new = inputs()
    successor.learn(new, read)  # as the check does by which the engine begins
    changes = cabin.run(lambda: kind.diff(state, read, new)).changes
    paths = {change.path.partition(".")[0] for change in changes}
    assert "connection" in paths, "what differs is told as it is, as the SSH port of the firewall is with another one"
    assert not paths & {"unread", "unreached"}
    assert former["port"] != present["port"] or paths == {"connection"}, "no drift that isn't there"
    updated = cabin.run(lambda: kind.update("id", state, new, False))
    assert cabin.drift(kind, updated, new)[1] == []
    return updated


def _fresh(to: Connection) -> Host:
    pool.forget(to)
    return pool.connect(to)


# A host that forwards has anycast routes too.
NETWORKS = """ip -br addr; ip rule; ip route show table all; ip -6 route show table all; ip neigh show proxy
systemctl list-unit-files 'wgnode*'"""


def test_other_tables_are_left_alone(berlin: Site) -> None:
    berlin.shell("nft add table ip mine; nft add chain ip mine here; nft add rule ip mine here counter")
    mine = berlin.shell("nft -a list table ip mine")
    try:
        berlin.create(berlin.firewall, berlin.firewall_inputs())
        berlin.clean()
        assert berlin.shell("nft -a list table ip mine") == mine
    finally:
        berlin.shell("nft delete table ip mine")


@pytest.fixture
def sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The undo comes after 12 s; no test needs to wait for all 30."""
    monkeypatch.setattr(undo, "SECONDS", 12)


@pytest.mark.usefixtures("sooner")
def test_a_firewall_that_would_lock_us_out_reverts_by_itself(berlin: Site) -> None:
    inputs = berlin.firewall_inputs()
    state = berlin.create(berlin.firewall, inputs)
    before = berlin.snapshot()
    with pytest.raises(undo.Reverted, match="would lock us out"):
        berlin.run(
            lambda: berlin.firewall.update(
                "id", state, berlin.firewall_inputs(managementNetworks=["10.9.9.0/24"]), False
            )
        )
    assert berlin.snapshot() == before
    assert berlin.drift(berlin.firewall, state, inputs)[1] == []


@pytest.mark.usefixtures("sooner")
def test_networks_that_would_lock_us_out_revert_by_themselves(berlin: Site) -> None:
    before = berlin.shell(NETWORKS)
    # The way back to the runner would lead into the LAN.
    routes = [{"to": "192.0.2.0/24", "via": berlin.lan["gateway"][0]}]
    with pytest.raises(Partial, match="would lock us out"):
        berlin.create(berlin.host, berlin.host_inputs(routes=routes))
    after = berlin.shell(NETWORKS)
    assert after == before
    assert "wgnode-network" not in after


@pytest.mark.usefixtures("sooner")
def test_networks_that_lock_us_out_only_after_the_new_connection_revert_too(
    berlin: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that they are up is held up by them, and comes through when the undo has run."""
    before = berlin.shell(NETWORKS)
    render = network.script
    monkeypatch.setattr(network, "script", lambda wanted: render(wanted).replace("up() {", "up() {\n    sleep 2"))
    routes = [{"to": "192.0.2.0/24", "via": berlin.lan["gateway"][0]}]
    with pytest.raises(Partial, match="would lock us out"):
        berlin.create(berlin.host, berlin.host_inputs(routes=routes))
    assert berlin.shell(NETWORKS) == before


def test_a_change_that_was_interrupted_is_taken_back_before_the_next_one(berlin: Site) -> None:
    inputs = berlin.firewall_inputs()
    state = berlin.create(berlin.firewall, inputs)
    to = connection(inputs)

    def interrupted() -> None:
        host = pool.connect(to)
        undo.arm(host, "firewall", "touch /run/taken-back")
        host.run(["nft", "flush", "table", "inet", "wgnode"])

    berlin.run(interrupted)
    state = berlin.run(lambda: berlin.firewall.update("id", state, inputs, False))
    assert berlin.drift(berlin.firewall, state, inputs)[1] == []
    assert berlin.shell("rm /run/taken-back && systemctl list-timers --all --no-legend 'wgnode*'") == ""


def test_firewall_and_networks_survive_a_reboot_and_debians_own_service(berlin: Site, lab: Lab) -> None:
    host_inputs, firewall_inputs = berlin.host_inputs(), berlin.firewall_inputs()
    host_state = berlin.create(berlin.host, host_inputs)
    firewall_state = berlin.create(berlin.firewall, firewall_inputs)
    try:
        for verb in ("restart", "reload"):
            berlin.shell(f"systemctl {verb} nftables")  # flushes everything
            _until(lambda: berlin.drift(berlin.firewall, firewall_state, firewall_inputs)[1] == [])
        berlin.shell("systemctl enable nftables")
        lab.reboot("berlin")
        _until(lambda: berlin.drift(berlin.firewall, firewall_state, firewall_inputs)[1] == [])
        _until(lambda: berlin.drift(berlin.host, host_state, host_inputs)[1] == [])
    finally:
        berlin.shell("systemctl disable --now nftables; nft delete table inet filter")


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_only_what_is_configured_comes_in_over_the_uplink(berlin: Site, lab: Lab) -> None:
    berlin.create(berlin.firewall, berlin.firewall_inputs(allow=[{"protocol": "tcp", "port": 8080}]))
    berlin.shell("for p in 8080 8081; do systemd-run -q --unit test-$p python3 -m http.server $p; done")
    try:
        _until(lambda: _opens(lab, berlin.lan["host"][0].split("/")[0], 8081, "berlin.client"))
        assert _opens(lab, berlin.address, 8080)
        assert not _opens(lab, berlin.address, 8081)
        assert lab.ping("runner", berlin.address)
    finally:
        berlin.shell("systemctl stop test-8080 test-8081")


def _opens(lab: Lab, address: str, port: int, role: str = "runner") -> bool:
    probe = f"import socket; socket.create_connection(({address!r}, {port}), 1.5).close()"
    return lab.run_in(role, ["python3", "-c", probe], check=False).returncode == 0


GUEST, GUEST_V6 = "172.31.255.254", "fd77:676e:6f64:6500::2"
# A network namespace at the other end of the link instead of the gateway, with a process to find it by.
BECOME_THE_GUEST = f"""ip link del wgnode-wan
systemd-run -q --unit test-guest -p PrivateNetwork=yes sleep infinity
pid=$(systemctl show -P MainPID test-guest)
ip link add wgnode-wan type veth peer name wan netns $pid
ip addr add 172.31.255.253/30 dev wgnode-wan; ip addr add fd77:676e:6f64:6500::1/126 dev wgnode-wan nodad
ip link set wgnode-wan up
nsenter -t $pid -n sh -c 'ip link set wan up; ip addr add {GUEST}/30 dev wan; ip addr add 10.66.0.1/32 dev wan
    ip addr add {GUEST_V6}/126 dev wan nodad
    ip route add default via 172.31.255.253; ip route add default via fd77:676e:6f64:6500::1'"""
_TCP = "import socket; socket.create_connection(({to!r}, {port}), 1.5, ({source!r}, 0)).close()"
_UDP = "import socket; s = socket.socket(2, 2); s.bind(({source!r}, {port})); s.sendto(b'{what}', ({to!r}, 5555))"


@pytest.fixture
def guest(berlin: Site) -> Iterator[Callable[[str], bool]]:
    """Runs Python in the place of berlin's gateway; whether it succeeded."""
    berlin.create(berlin.host, berlin.host_inputs())
    berlin.create(berlin.firewall, berlin.firewall_inputs())
    berlin.shell(BECOME_THE_GUEST)
    inside = "nsenter -t $(systemctl show -P MainPID test-guest) -n python3 -c"
    try:
        yield lambda code: "went well" in berlin.shell(f"{inside} {shlex.quote(code)} && echo went well")
    finally:
        berlin.shell("systemctl stop test-guest; ip link del wgnode-wan")


def test_a_gateway_gets_wireguards_datagrams_out_and_nothing_else(
    berlin: Site, guest: Callable[[str], bool], lab: Lab
) -> None:
    lan, runner, client = berlin.lan["host"], "192.0.2.10", "10.1.0.100"
    for to in ("172.31.255.253", lan[0].split("/")[0], berlin.address):
        assert not guest(_TCP.format(to=to, port=22, source=GUEST)), f"the host's SSH at {to}"
    assert not guest(_TCP.format(to="fd77:676e:6f64:6500::1", port=22, source=GUEST_V6))
    assert guest("import os; raise SystemExit(os.system('ping -c 1 -W 2 172.31.255.253') != 0)")
    assert guest("import os; raise SystemExit(os.system('ping -c 1 -W 2 fd77:676e:6f64:6500::1') != 0)")
    with _datagrams(lab, "runner") as at_runner, _datagrams(lab, "berlin.client") as at_client:
        for source, port, to, what in (
            (GUEST, 51820, client, "into the LAN"),
            ("10.66.0.1", 51820, runner, "of another source"),
            (GUEST, 40000, runner, "of another port"),
            (GUEST, 51820, runner, "of WireGuard"),
        ):
            guest(_UDP.format(source=source, port=port, to=to, what=what))
        assert at_runner() == [f"of WireGuard from {berlin.address}"]
        assert at_client() == []
    assert not lab.ping("berlin.client", GUEST), "nobody in the LAN needs to reach the gateway there"


@contextlib.contextmanager
def _datagrams(lab: Lab, role: str) -> Iterator[Callable[[], list[str]]]:
    """What came to port 5555 until asked, with the address that it came from."""
    code = (
        "import socket; s = socket.socket(2, 2); s.bind(('', 5555)); print('ready', flush=True)\n"
        "while True: data, peer = s.recvfrom(99); print(data.decode(), 'from', peer[0], flush=True)"
    )
    process = lab.popen_in(role, ["python3", "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"

    def until_now() -> list[str]:
        time.sleep(0.5)
        process.kill()
        return process.stdout.read().splitlines()

    try:
        yield until_now
    finally:
        process.kill()
        process.wait()


def test_a_connection_from_before_the_translation_is_forgotten(berlin: Site, lab: Lab) -> None:
    """Else a peer's packets would go on reaching the host instead of the gateway, as long as it keeps sending."""
    berlin.create(berlin.host, berlin.host_inputs())
    send = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 40000));"
        f" s.sendto(b'x', ({berlin.address!r}, 51820))"
    )
    berlin.shell(
        "nft add table ip track; nft 'add chain ip track in { type filter hook input priority 0; }';"
        " nft add rule ip track in ct state new accept"
    )  # makes the kernel track connections
    try:
        lab.run_in("runner", ["python3", "-c", send])
        assert "dport=51820" in berlin.shell("conntrack -L -p udp 2>/dev/null")
        berlin.create(berlin.firewall, berlin.firewall_inputs())
        lab.run_in("runner", ["python3", "-c", send])
        entries = berlin.shell("conntrack -L -p udp --orig-port-dst 51820 2>/dev/null")
        assert "src=172.31.255.254" in entries, "translated to the gateway"
    finally:
        berlin.shell("nft delete table ip track")


def test_another_host_key_than_the_pinned_one_is_refused(berlin: Site, lab: Lab) -> None:
    before = berlin.shell("journalctl -u ssh -u 'ssh@*' | grep -c Accepted || true")
    berlin.connection["hostKeys"] = lab.inventory["hosts"]["cabin"]["host_keys"]
    try:
        with pytest.raises(HostKeyMismatch, match="nothing was sent"):
            berlin.create(berlin.firewall, berlin.firewall_inputs())
        assert berlin.shell("journalctl -u ssh -u 'ssh@*' | grep -c Accepted || true") == before
    finally:
        berlin.connection["hostKeys"] = lab.inventory["hosts"]["berlin"]["host_keys"]


@pytest.mark.parametrize("address", ["198.51.100.77", "192.0.2.77"])
def test_an_unreachable_host_fails_by_name_within_ten_seconds(berlin: Site, address: str) -> None:
    inputs = berlin.firewall_inputs(connection={**berlin.connection, "address": address})
    start = time.monotonic()
    with pytest.raises(HostUnreachable, match=f"@{address}: cannot connect"):
        berlin.create(berlin.firewall, inputs)
    assert time.monotonic() - start < 10


def test_a_missing_interface_and_a_foreign_firewall_change_nothing(berlin: Site) -> None:
    before = berlin.snapshot()
    with pytest.raises(HostError, match="no LAN interface eth9; there are"):
        berlin.create(berlin.host, berlin.host_inputs(lanInterface="eth9"))
    uplink = [{"to": "198.51.100.0/24", "via": berlin.lan["gateway"][0]}]
    with pytest.raises(
        HostError, match=rf"198.51.100.0/24 of the mesh is not the mesh's alone there: .*{berlin.address}"
    ):
        berlin.create(berlin.host, berlin.host_inputs(routes=uplink))
    assert berlin.snapshot() == before
    berlin.shell(
        "nft add table ip filter;"
        " nft 'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'"
    )
    try:
        with pytest.raises(HostError, match="ip filter FORWARD"):
            berlin.create(berlin.host, berlin.host_inputs())
        ways = ("iifname wgnode-wan", "oifname wgnode-wan", "iifname wgnode-br0 oifname wgnode-br0")
        accept = "; ".join(f"nft insert rule ip filter FORWARD {way} accept" for way in ways)
        berlin.shell(accept)
        berlin.create(berlin.host, berlin.host_inputs())
    finally:
        berlin.shell("nft delete table ip filter")
    berlin.clean()
    assert berlin.snapshot() == before


def test_a_host_tells_the_port_that_its_ssh_really_listens_on(site: Site) -> None:
    """As root, and through sudo, which takes the environment away."""

    def require(host: Host, inputs: dict[str, Any]) -> None:
        require_ssh_port(host, inputs, look(host)["ssh"])

    inputs = site.firewall_inputs()
    forwarded = {**inputs, "connection": {**inputs["connection"], "port": 2222}}
    with pytest.raises(HostError, match=r"listens on port 22 behind a forward of port 2222.*`sshPort: 22`"):
        site.run(lambda: require(pool.connect(connection(inputs)), forwarded))
    site.run(lambda: require(pool.connect(connection(inputs)), inputs))
