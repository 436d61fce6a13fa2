"""What goes wrong on a real host: told before or while it happens with the way out, and mended by the next `up`."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.api import Lab
from lab.plan import INTERNET
from pulumi_wgnode.call import log as progress
from pulumi_wgnode.call.kind import Partial
from pulumi_wgnode.hosts import undo
from pulumi_wgnode.hosts.host import HostError, HostUnreachable
from pulumi_wgnode.hosts.ssh import pool, ssh_host
from pulumi_wgnode.resources import host_checks
from pulumi_wgnode.resources.appliance_image import MEMBERS, ApplianceImage, ImageError
from pulumi_wgnode.resources.inputs import connection
from wgnode.image.paths import image_directory

from .host_site import Site

pytestmark = pytest.mark.lab
IMAGES = "/var/lib/wgnode/images"
# All sessions of SSH on the host, which are this test's.
CUT = "for p in $(ss -Htnp state established sport = :22 | grep -o 'pid=[0-9]*' | cut -d= -f2); do kill -9 $p; done"

# As Docker and ufw set them up, by their rules alone.
OTHERS = """table ip filter {
    chain DOCKER-USER { }
    chain FORWARD { type filter hook forward priority 0; policy drop; }
    chain ufw-in {
        type filter hook input priority 0; policy drop
        ct state established accept
        tcp dport 22 accept
    }
}"""


@pytest.fixture
def berlin(lab: Lab, in_runner: Callable[..., Any]) -> Iterator[Site]:
    """Cleaned where something of ours was left on it."""
    made = Site(lab, "berlin", in_runner)
    yield made
    if made.shell("ls -d /etc/wgnode 2>/dev/null"):
        made.clean()
    pool.forget(connection({"connection": made.connection}))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Of some megabytes that can't be compressed."""
    path = tmp_path / "image.tar"
    with tarfile.open(path, "w") as archive:
        for member, size in zip(MEMBERS, (3 << 20, 1 << 20, 100), strict=True):
            info = tarfile.TarInfo(member)
            info.size = size
            archive.addfile(info, io.BytesIO(os.urandom(size)))
    return path


def image_inputs(site: Site, path: Path) -> dict[str, Any]:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return ApplianceImage().check({"connection": site.connection, "source": str(path), "sha256": sha256}, {})


def converges(site: Site, kind: Any, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    """What the next `up` does; the state afterwards, without a difference."""
    found = site.run(lambda: kind.read(inputs.get("sha256", "id"), state, inputs))
    state = found[0] if found else state
    made = site.run(lambda: kind.update(inputs.get("sha256", "id"), state, inputs, False))
    assert kind.diff(made, inputs, inputs).changes == ()
    return dict(made)


@contextmanager
def small(site: Site, directory: str, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of that size over a directory of the host; the function makes it another size."""
    site.lab.console(site.name, f"mkdir -p {directory}; mount -t tmpfs -o size={size},mode=755 none {directory}")
    try:
        yield lambda new: site.shell(f"mount -o remount,size={new} {directory}") and None
    finally:
        site.shell(f"umount {directory}; rmdir -p {directory}")


def test_an_image_that_finds_the_disk_full_says_so_and_comes_once_there_is_room(berlin: Site, image: Path) -> None:
    kind, inputs = ApplianceImage(), image_inputs(berlin, image)
    with small(berlin, IMAGES, "2m") as resize:
        full = rf"cannot write {IMAGES}/\w+/vmlinux: No space left on device: the file system {IMAGES} is full,"
        with pytest.raises(Partial, match=rf"{full} 3145728 bytes are needed and \d+ are free; make room") as raised:
            berlin.run(lambda: kind.create("image", inputs, False))
        assert berlin.shell(f"ls {image_directory(inputs['sha256'])}") == "", "nothing half written is left"
        assert "files.vmlinux" in [change.path for change in kind.diff(raised.value.state, inputs, inputs).changes]
        resize("10m")
        state = converges(berlin, kind, raised.value.state, inputs)
        berlin.run(lambda: kind.delete(inputs["sha256"], state))


def test_networks_that_find_the_disk_full_are_taken_back_and_come_once_there_is_room(berlin: Site) -> None:
    inputs = berlin.host_inputs()
    before = berlin.shell("ip -br addr; ip route")
    with small(berlin, "/etc/wgnode", "4k") as resize:
        with pytest.raises(Partial, match=r"No space left on device: the file system /etc/wgnode") as raised:
            berlin.create(berlin.host, inputs)
        assert berlin.shell("ip -br addr; ip route") == before
        resize("1m")
        converges(berlin, berlin.host, raised.value.state, inputs)
        berlin.shell("cp -a /etc/wgnode /run/kept")
    berlin.shell("mkdir -p /etc/wgnode; cp -a /run/kept/. /etc/wgnode; rm -r /run/kept")


def test_a_connection_cut_in_the_middle_of_an_upload_says_where_and_the_next_up_goes_on(
    berlin: Site, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, inputs = ApplianceImage(), image_inputs(berlin, image)
    pieces = ssh_host._pieces

    def cut_after_the_first(source: str, *rest: Any) -> Iterator[bytes]:
        for number, piece in enumerate(pieces(source, *rest)):
            if number == 2 and source.endswith("initramfs.zst"):
                berlin.shell(CUT)
            yield piece

    monkeypatch.setattr(ssh_host, "_pieces", cut_after_the_first)
    with pytest.raises(Partial, match=r"the connection broke in the middle of .*writing \S+/initramfs.zst") as raised:
        berlin.run(lambda: kind.create("image", inputs, False))
    monkeypatch.undo()
    differing = [change.path for change in kind.diff(raised.value.state, inputs, inputs).changes]
    assert differing == ['files["initramfs.zst"]', 'files["manifest.json"]'], "what came is kept"
    state = converges(berlin, kind, raised.value.state, inputs)
    assert sorted(berlin.shell(f"ls {state['directory']}").split()) == sorted(MEMBERS), "and nothing else is left"
    berlin.run(lambda: kind.delete(inputs["sha256"], state))


def test_a_connection_cut_while_the_firewall_is_loaded_is_no_lock_out_and_leaves_the_one_before(
    berlin: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = berlin.firewall_inputs()
    state = berlin.create(berlin.firewall, inputs)
    before = berlin.shell("nft list table inet wgnode")
    wider = berlin.firewall_inputs(allow=[{"protocol": "tcp", "port": 8080}])
    run = ssh_host.SshHost.run

    def cut(self: Any, argv: Any, **options: Any) -> Any:
        if list(argv) != ["nft", "-f", "-"]:
            return run(self, argv, **options)
        threading.Timer(1, lambda: berlin.shell(CUT)).start()
        return run(self, ["sh", "-c", "nft -f -; sleep 50"], **options)

    with monkeypatch.context() as patched:
        patched.setattr(ssh_host.SshHost, "run", cut)
        start = time.monotonic()
        with pytest.raises(HostUnreachable, match="the connection broke in the middle of"):
            berlin.run(lambda: berlin.firewall.update("id", state, wider, False))
        assert time.monotonic() - start < undo.SECONDS, "it was not left to the host to take it back"
    assert berlin.shell("nft list table inet wgnode") == before
    converges(berlin, berlin.firewall, state, wider)
    assert "8080" in berlin.shell("nft list table inet wgnode")


def test_a_port_that_is_taken_is_told_with_its_process_and_nothing_is_changed(berlin: Site) -> None:
    taken = "import socket,time; s=socket.socket(2,2); s.bind(('{}',51820)); time.sleep(999)"
    berlin.shell("rm -rf /var/lib/wgnode")  # directories that an image's test may have left empty
    before = berlin.snapshot()
    for address, refuses in (("127.0.0.1", False), ("0.0.0.0", True)):
        unit = "systemd-run --quiet --unit test-taken python3 -c"
        berlin.lab.console(
            "berlin", f'{unit} "{taken.format(address)}"; until ss -Hlun | grep -q 51820; do sleep 0.1; done'
        )
        try:
            if refuses:
                with pytest.raises(
                    HostError, match=r"UDP port 51820 is taken by python3 \(pid \d+\).*mesh\.listenPort"
                ):
                    berlin.create(berlin.firewall, berlin.firewall_inputs())
            else:
                berlin.create(berlin.firewall, berlin.firewall_inputs())
                berlin.clean()
        finally:
            berlin.shell("systemctl stop test-taken")
    assert berlin.snapshot() == before


def test_a_guest_for_which_there_is_no_memory_is_told_and_the_present_ones_counts_as_free(berlin: Site) -> None:
    host = berlin.run(lambda: pool.connect(connection({"connection": berlin.connection})))
    berlin.run(lambda: host_checks.require_memory(host, 1, "wgnode-gateway.service"))
    with pytest.raises(HostError, match=r"to have 99999999 MiB of memory, but \d+ MiB are available; stop something"):
        berlin.run(lambda: host_checks.require_memory(host, 99999999, "wgnode-gateway.service"))
    berlin.shell(
        "systemd-run --quiet --unit wgnode-gateway python3 -c 'import time; x = b\"x\" * (200 << 20); time.sleep(999)'"
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            with pytest.raises(HostError) as raised:
                berlin.run(lambda: host_checks.require_memory(host, 99999999, "wgnode-gateway.service"))
            used = re.search(r"available \((\d+) MiB of them the present gateway's\)", str(raised.value))
            if used and 200 <= int(used[1]) < 300:
                break
            assert time.monotonic() < deadline, str(raised.value)
    finally:
        berlin.shell("systemctl stop wgnode-gateway")


def test_an_image_that_is_another_than_its_digest_says_never_reaches_the_host(berlin: Site, image: Path) -> None:
    inputs = image_inputs(berlin, image)
    spoilt = bytearray(image.read_bytes())
    spoilt[5000] ^= 1
    image.write_bytes(spoilt)
    with pytest.raises(ImageError, match=rf"SHA-256 is \w+, wanted {inputs['sha256']}; build it again"):
        berlin.run(lambda: ApplianceImage().create("image", inputs, False))
    assert "No such file" in berlin.shell(f"ls {image_directory(inputs['sha256'])} 2>&1")


def test_a_file_that_the_host_kept_otherwise_than_it_was_sent_is_told(
    berlin: Site, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, inputs = ApplianceImage(), image_inputs(berlin, image)
    upload = ssh_host.SshHost.upload

    def spoil(self: Any, path: str, source: str, **options: Any) -> None:
        upload(self, path, source, **options)
        if path.endswith("vmlinux"):
            berlin.shell(f"printf x >>{path}")

    with monkeypatch.context() as patched:
        patched.setattr(ssh_host.SshHost, "upload", spoil)
        with pytest.raises(Partial, match=r"vmlinux is sha256:\w+ 0644 root:root after its upload, sent was") as raised:
            berlin.run(lambda: kind.create("image", inputs, False))
    state = converges(berlin, kind, raised.value.state, inputs)
    berlin.run(lambda: kind.delete(inputs["sha256"], state))


def test_a_firewall_that_came_after_ours_is_warned_of_when_read(berlin: Site) -> None:
    host_inputs = berlin.host_inputs()
    firewall_inputs = berlin.firewall_inputs(allow=[{"protocol": "tcp", "port": 8080}])
    host_state = berlin.create(berlin.host, host_inputs)
    firewall_state = berlin.create(berlin.firewall, firewall_inputs)
    said: list[str] = []

    def read() -> list[Any]:
        progress.send_to(lambda text, severity: said.append(text) if severity is progress.Severity.WARNING else None)
        try:
            found = [berlin.host.read("id", host_state, host_inputs)]
            return [*found, berlin.firewall.read("id", firewall_state, firewall_inputs)]
        finally:
            progress.send_to(None)

    berlin.run(read)
    assert said == []
    berlin.lab.console("berlin", f"nft -f - <<'END'\n{OTHERS}\nEND")
    try:
        host, firewall = berlin.run(read)
        assert "ip filter FORWARD (Docker): iptables -I DOCKER-USER" in said[0]
        assert "another firewall, ip filter ufw-in" in said[1]
        assert "drops port 8080" in said[1]
        assert berlin.host.diff(host[0], host[1], host_inputs).changes == ()
        assert berlin.firewall.diff(firewall[0], firewall[1], firewall_inputs).changes == ()
    finally:
        berlin.shell("nft delete table ip filter")


def test_a_host_that_falls_silent_while_it_is_read_is_unreachable_within_ten_seconds(berlin: Site, lab: Lab) -> None:
    """And the resources that are read after it don't wait once more."""
    inputs = berlin.host_inputs()
    host = berlin.run(lambda: pool.connect(connection(inputs)))
    drop = f"ip daddr {berlin.address} drop"
    table = f"table inet silent {{\n chain f {{\n type filter hook forward priority 0\n {drop}\n }}\n }}"
    silenced: list[float] = []

    def silence() -> None:
        silenced.append(time.monotonic())
        lab.run_in(INTERNET, ["nft", "-f", "-"], input=table)

    def read() -> None:
        threading.Timer(1, silence).start()
        with pytest.raises(HostUnreachable, match=f"root@{berlin.address}: the connection broke in the middle"):
            host.run(["sleep", "50"])
        for _ in range(3):
            with pytest.raises(HostUnreachable, match=f"root@{berlin.address}: cannot connect"):
                berlin.host.read("id", {}, inputs)

    try:
        berlin.run(read)
        assert time.monotonic() - silenced[0] < 10
    finally:
        lab.run_in(INTERNET, ["nft", "delete", "table", "inet", "silent"])
        pool.forget(connection(inputs))
