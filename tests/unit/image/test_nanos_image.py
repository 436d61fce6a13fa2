"""A gateway's image for Nanos: the manifest, the parts that are brought, mkfs, and QEMU's command line."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from tests import nanos_parts
from tests.nanos_parts import bring, parsed
from tests.unit.platform.test_nanos import CONFIG
from wgnode.cli.image import command as image_command
from wgnode.image import cpio
from wgnode.image.archive import Members, write_archive
from wgnode.image.build import compress
from wgnode.image.errors import ImageError
from wgnode.image.machine import Nic
from wgnode.image.nanos.appliance import appliance_files
from wgnode.image.nanos.build import NanosImage, PartsMissing, build
from wgnode.image.nanos.machine import NanosMachine, command
from wgnode.image.nanos.manifest import manifest
from wgnode.image.nanos.parts import Finding, State, checked, located
from wgnode.image.nanos.tuples import render
from wgnode.nanos.words import Environment

TOLD = Environment(IPv4Interface("172.31.255.254/30"), IPv4Address("172.31.255.253"), IPv4Interface("192.168.7.1/24"))
FILES = {
    "usr/bin/python3.13": b"\x7fELF",
    "usr/lib/python3.13/os.pyc": b"os",
    "usr/lib/python3.13/wgnode/appliance/nanos.pyc": b"main",
    "etc/wgnode/image.json": b"{}",
}
MACHINE = NanosMachine(
    "berlin",
    "/i/nanos.img",
    "/run/wgnode/share",
    (Nic("wgnode-wan", "52:54:00:77:67:00"), Nic("wgnode-lan", "52:54:00:00:00:02")),
)


@pytest.fixture
def appliance(tmp_path: Path) -> Path:
    entries = {path: cpio.file(data) for path, data in FILES.items()}
    entries |= {"init": cpio.file(b"#!"), "lib/modules/00-x.ko": cpio.file(b"module"), "dev": cpio.directory()}
    write_archive(tmp_path / "appliance.tar", Members(b"vmlinux", compress(cpio.pack(entries)), {"name": "wgnode-0"}))
    return tmp_path / "appliance.tar"


@pytest.fixture
def brought(tmp_path: Path) -> Path:
    return bring(tmp_path / "nanos")


def said(findings: list[Finding], part: str) -> list[tuple[State, str]]:
    return [(each.state, each.said) for each in findings if each.part == part]


def test_the_manifest_says_what_nanos_has_to_know_and_is_read_as_it_was_meant() -> None:
    """Row: manifest, default-route, mount-point, nanos-version, klibs."""
    root = parsed(manifest(TOLD, FILES, "0.1.54"))
    assert root["program"] == "/usr/bin/python3.13"
    assert root["arguments"] == [
        "/usr/bin/python3.13", "-ISBu", "-c", "from wgnode.appliance.nanos import main; main()",
    ]  # fmt: skip
    assert root["boot"] == {"children": {"klib": {"children": {"tun": {"contents": {"host": "klib/tun"}}}}}}
    assert root["klibs"] == "bootfs"
    assert root["en1"] == {
        "ipaddr": "172.31.255.254", "netmask": "255.255.255.252", "gateway": "172.31.255.253", "default": "t",
    }  # fmt: skip
    assert root["en2"] == {"ipaddr": "192.168.7.1", "netmask": "255.255.255.0", "gateway": "0.0.0.0"}
    assert root["mounts"] == {"%1": "/cfg"}
    assert root["children"]["cfg"] == root["children"]["dev"] == {"children": {}}
    assert root["environment"].pop("NANOS_VERSION") == "0.1.54"
    assert Environment.read(root["environment"]) == TOLD
    python = root["children"]["usr"]["children"]["lib"]["children"]["python3.13"]["children"]
    assert python["os.pyc"] == {"contents": {"host": "usr/lib/python3.13/os.pyc"}}
    assert python["lib-dynload"] == {"children": {}}


def test_the_same_inputs_give_the_same_manifest() -> None:
    assert manifest(TOLD, list(FILES), "x") == manifest(TOLD, list(reversed(FILES)), "x")


@pytest.mark.parametrize("path", ["a/" + "b" * 260, "usr/contents/x", 'usr/"x"'])
def test_a_path_that_mkfs_would_not_take_is_refused(path: str) -> None:
    """Row: mkfs-paths."""
    with pytest.raises(ValueError, match="Nanos"):
        manifest(TOLD, [*FILES, path], "x")


WORDS = st.text("ab #()[]:%/|,", min_size=1, max_size=4)
VALUES = st.recursive(
    WORDS,
    lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(WORDS, VALUES, max_size=3))
def test_whatever_can_be_said_is_read_as_it_was_meant(value: dict[str, Any]) -> None:
    """Row: manifest."""
    assert parsed(render(value)) == value


@pytest.mark.parametrize("text", ['"', "a\nb", "\0"])
def test_what_has_no_words_in_a_manifest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no escape"):
        render({"a": [text]})


def test_parts_that_fit_are_good(brought: Path) -> None:
    findings = checked(located({"NANOS_DIR": str(brought)}))
    assert {each.state for each in findings} == {State.GOOD}
    assert [each.part for each in findings] == ["kernel", "kernel", "boot", "klibs", "mkfs"]
    assert f"of commit {nanos_parts.COMMIT}" in findings[0].said
    assert findings[1].said == "it forwards"


def test_a_built_clone_is_found_as_well_and_what_is_named_comes_first(brought: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for there, here in (("kernel.img", "platform/pc/bin"), ("boot.img", "platform/pc/boot"), ("mkfs", "tools/bin")):
        (clone / "output" / here).mkdir(parents=True)
        (brought / there).rename(clone / "output" / here / there)
    (clone / "output/klib").mkdir()
    (brought / "klibs").rename(clone / "output/klib/bin")
    parts = located({"NANOS_DIR": str(clone)})
    assert {each.state for each in checked(parts)} == {State.GOOD}
    other = located({"NANOS_DIR": str(clone), "NANOS_KERNEL": "/k"}, {"boot": Path("/b"), "directory": None})
    assert (other.kernel, other.boot, other.mkfs) == (Path("/k"), Path("/b"), parts.mkfs)


def test_without_parts_each_is_missing_and_upstream_says_how_it_is_made(tmp_path: Path) -> None:
    for environment in ({}, {"NANOS_DIR": str(tmp_path / "nowhere")}):
        findings = checked(located(environment))
        assert [each.state for each in findings] == [State.MISSING] * 4
        assert "#define IP_FORWARD 1" in findings[0].how
        assert all("github.com/nanovms/nanos#building-from-source" in each.how for each in findings)


@pytest.mark.parametrize(
    ("options", "state", "words"),
    [
        ({"inlined": True}, State.GOOD, "it forwards"),
        ({"inlined": False}, State.GOOD, "it forwards"),
        ({"forwards": False}, State.WRONG, "it does not forward: built without IP_FORWARD"),
        ({"symbols": False}, State.UNSURE, "not to be seen"),
    ],
)
def test_whether_a_kernel_forwards_is_seen_by_who_calls_whom(
    tmp_path: Path, options: dict[str, bool], state: State, words: str
) -> None:
    """Row: ip-forward."""
    _, found = said(checked(located({"NANOS_DIR": str(bring(tmp_path / "parts", **options))})), "kernel")
    assert found[0] is state
    assert words in found[1]


@pytest.mark.parametrize(
    ("part", "content", "words"),
    [
        ("kernel.img", b"MZ", "no 64-bit little-endian ELF"),
        ("kernel.img", nanos_parts.kernel(nanos=False), "is no kernel of Nanos"),
        ("kernel.img", nanos_parts.kernel()[:-200], "symbols can't be read"),
        ("kernel.img", b"\x7fELF\x02\x01" + bytes(12) + b"\xb7\0" + bytes(100), "not a program for x86-64"),
        ("boot.img", bytes(512), "is no boot image"),
        ("boot.img", bytes(510) + b"\x55\xaa" + b"x", "is no boot image"),
        ("klibs/tun", b"", "no 64-bit little-endian ELF"),
        ("klibs/tun", nanos_parts.klib("netif_add", "z", "a", "b", "c"), "tun calls a, b, c and others, which"),
        ("mkfs", b"#!/bin/sh\necho mkfs.ext4\n", "does not know -b and -k"),
        ("mkfs", b"\0\0", "does not run"),
    ],
)  # fmt: skip
def test_parts_of_another_kind_or_version_are_told_apart(brought: Path, part: str, content: bytes, words: str) -> None:
    """Row: klibs."""
    (brought / part).write_bytes(content)
    wrong = [each for each in checked(located({"NANOS_DIR": str(brought)})) if each.state is State.WRONG]
    assert len(wrong) == 1, wrong
    assert words in wrong[0].said
    assert wrong[0].how


def test_a_klib_that_is_not_there_or_can_not_be_compared_is_told(brought: Path) -> None:
    (brought / "kernel.img").write_bytes(nanos_parts.kernel(symbols=False))
    assert said(checked(located({"NANOS_DIR": str(brought)})), "klibs")[0][0] is State.UNSURE
    (brought / "klibs/tun").unlink()
    assert said(checked(located({"NANOS_DIR": str(brought)})), "klibs")[0][0] is State.MISSING
    (brought / "mkfs").chmod(0o644)
    assert said(checked(located({"NANOS_DIR": str(brought)})), "mkfs")[0][0] is State.WRONG


def test_the_image_is_made_by_mkfs_of_the_appliances_own_files(brought: Path, appliance: Path, tmp_path: Path) -> None:
    """Row: mkfs-paths, manifest."""
    deep = tmp_path / ("d" * 200) / ("e" * 200)
    deep.mkdir(parents=True)
    brought.rename(deep / "nanos")
    made = build(
        TOLD, appliance_files(appliance), located({"NANOS_DIR": str(deep / "nanos")}), tmp_path / "out/nanos.img"
    )
    disk = json.loads((tmp_path / "out/nanos.img").read_bytes())
    assert set(disk["files"]) == {"boot:/kernel", "boot:/klib/tun", *(f"root:/{path}" for path in FILES)}
    assert disk["root"]["environment"]["NANOS_VERSION"] == made.kernel == nanos_parts.COMMIT
    assert made.size == (tmp_path / "out/nanos.img").stat().st_size
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["nanos.img"]


def test_nothing_is_written_where_a_part_is_wrong_or_mkfs_fails(brought: Path, tmp_path: Path) -> None:
    parts = located({"NANOS_DIR": str(brought)})
    (brought / "mkfs").write_text(
        "#!/bin/sh\n[ $# -gt 0 ] && { echo no space left; exit 1; }\necho -b boot-image -k kern-image\n"
    )
    with pytest.raises(ImageError, match=r"Nanos' mkfs failed \(1\): no space left"):
        build(TOLD, FILES, parts, tmp_path / "out/nanos.img")
    with pytest.raises(ImageError, match="no escape"):
        build(TOLD, FILES | {'a"b': b""}, parts, tmp_path / "out/nanos.img")
    (brought / "kernel.img").unlink()
    with pytest.raises(PartsMissing, match=r"kernel: .*is not there") as missing:
        build(TOLD, FILES, parts, tmp_path / "out/nanos.img")
    assert [each.part for each in missing.value.findings] == ["kernel"]
    assert list((tmp_path / "out").iterdir()) == []


def test_an_appliance_from_before_nanos_is_refused(tmp_path: Path) -> None:
    old = Members(b"", compress(cpio.pack({"usr/bin/python3.13": cpio.file(b"")})), {"name": "wgnode-0"})
    write_archive(tmp_path / "old.tar", old)
    with pytest.raises(ImageError, match="older than the node's platform for Nanos"):
        appliance_files(tmp_path / "old.tar")


def values(option: str, machine: NanosMachine = MACHINE) -> list[str]:
    return [value for key, value in itertools.pairwise(command(machine)) if key == option]


def test_qemu_has_both_cards_in_their_order_the_share_and_a_disk_that_forgets() -> None:
    """Row: two-cards, share, disk."""
    assert [each for each in values("-device") if each.startswith("virtio-net")] == [
        "virtio-net-pci,netdev=net2,mac=52:54:00:77:67:00,bus=port2",
        "virtio-net-pci,netdev=net3,mac=52:54:00:00:00:02,bus=port3",
    ]
    assert values("-netdev") == [
        "tap,id=net2,ifname=wgnode-wan,script=no,downscript=no",
        "tap,id=net3,ifname=wgnode-lan,script=no,downscript=no",
    ]
    ports = [each for each in values("-device") if each.startswith("pcie-root-port")]
    assert [each.split(",")[1] for each in ports] == [f"id=port{number}" for number in range(1, 6)]
    assert values("-fsdev") == ["local,id=share,path=/run/wgnode/share,security_model=none,multidevs=remap"]
    assert "virtio-9p-pci,fsdev=share,mount_tag=1,bus=port4" in values("-device")
    assert values("-drive") == ["if=none,id=disk0,format=raw,snapshot=on,file=/i/nanos.img"]
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= set(command(MACHINE))
    assert not any("virtserialport" in each for each in values("-device"))


def test_qemus_processor_and_console_are_what_was_asked_for() -> None:
    assert values("-cpu") == ["max"]
    assert values("-accel", replace(MACHINE, cpus=2))[0].startswith("tcg,thread=multi")
    assert values("-cpu", replace(MACHINE, accelerator="kvm")) == ["host"]
    assert "file,id=console,path=/log,append=on" in values("-chardev", replace(MACHINE, console="/log"))


@pytest.mark.parametrize(
    "change",
    [{"memory": 16}, {"cpus": 0}, {"share": "/a,b"}, {"nics": (MACHINE.nics[0], Nic("t", "52:54:00:AA:00:00"))}],
)
def test_a_machine_that_could_not_run_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="berlin"):
        command(replace(MACHINE, **change))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(image_command, ["nanos", *map(str, arguments)])


@pytest.fixture(autouse=True)
def no_parts_of_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NANOS_")]:
        monkeypatch.delenv(name)


def test_the_command_says_what_is_missing_and_how_it_is_made() -> None:
    result = run()
    assert result.exit_code == 1
    assert "experimental" in result.stderr
    assert "kernel  missing  neither NANOS_KERNEL nor NANOS_DIR says where it is" in result.stdout
    assert "#define IP_FORWARD 1" in result.stdout


def test_the_command_makes_the_image(brought: Path, appliance: Path, tmp_path: Path) -> None:
    result = run(
        "--nanos-dir", brought, "--lan", "192.168.7.1/24", "--image", appliance, "--output", tmp_path / "n.img"
    )
    assert result.exit_code == 0, result.output
    assert f"Nanos {nanos_parts.COMMIT}" in result.stdout
    assert (tmp_path / "n.img").is_file()
    assert run("--nanos-dir", brought).exit_code == 0


def test_json_has_findings_manifest_and_command_and_a_dry_run_makes_nothing(
    brought: Path, appliance: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes(CONFIG.to_json())
    given = ("--nanos-dir", brought, "--image", appliance, "--output", tmp_path / "n.img", "--json")
    result = run(*given, "--config", tmp_path / "config.json", "--dry-run")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["problems"]) == (0, [])
    assert parsed(found["manifest"])["en2"]["ipaddr"] == "192.168.7.1"
    assert found["command"] == [str(brought / "mkfs"), "-b", "boot.img", "-k", "kernel.img", str(tmp_path / "n.img")]
    assert not (tmp_path / "n.img").exists()
    made = json.loads(run(*given, "--lan", "192.168.7.1/24").stdout)["image"]
    assert NanosImage(**made).path == str(tmp_path / "n.img")


def test_a_configuration_that_does_not_fit_is_refused_before_anything_is_made(
    brought: Path, appliance: Path, tmp_path: Path
) -> None:
    config = replace(CONFIG, lan=replace(CONFIG.lan, masquerade=True))
    (tmp_path / "config.json").write_bytes(config.to_json())
    output = tmp_path / "n.img"
    result = run("--nanos-dir", brought, "--image", appliance, "--output", output, "--config", tmp_path / "config.json")
    assert result.exit_code == 1
    assert "lan.reach: masquerade: Nanos translates no addresses; choose host-route" in result.stdout
    assert not output.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--lan", "x"),
        ("--lan", "192.168.7.1/24", "--next-hop", "y"),
        ("--config", "/dev/null", "--lan", "192.168.7.1/24"),
        ("--config", "/nowhere"),
    ],
)
def test_wrong_usage_is_told_from_what_is_missing(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_an_appliance_image_that_is_none_is_an_error(brought: Path, tmp_path: Path) -> None:
    result = run("--nanos-dir", brought, "--lan", "192.168.7.1/24", "--image", tmp_path / "none.tar")
    assert result.exit_code == 1
    assert "is no appliance image" in result.stderr


def test_what_fails_is_an_error_and_json_stays_json(brought: Path, appliance: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    given = ("--nanos-dir", brought, "--lan", "192.168.7.1/24", "--image", appliance)
    result = run(*given, "--output", tmp_path / "file/n.img")
    assert (result.exit_code, "Error: " in result.stderr) == (1, True)
    result = run(*given, "--output", tmp_path / "file/n.img", "--json")
    assert result.exit_code == 1
    assert str(tmp_path / "file") in json.loads(result.stdout)["error"]
