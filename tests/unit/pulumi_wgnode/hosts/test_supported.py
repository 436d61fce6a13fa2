"""Which hosts gateways are run on, by what os-release(5) and the host say of itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pulumi_wgnode.hosts.host import Unsupported
from pulumi_wgnode.hosts.packages import supported
from tests.unit.pulumi_wgnode.fake_host import said

HEAD = "architecture amd64\ninit systemd\n"
BOOKWORM = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
"""
TRIXIE = BOOKWORM.replace("12", "13").replace("bookworm", "trixie") + "DEBIAN_VERSION_FULL=13.8\n"


def judged(os_release: str, head: str = HEAD) -> str:
    return supported.problem_of(supported.parse(said(head + os_release)))


@pytest.mark.parametrize(
    "text",
    [
        BOOKWORM,
        TRIXIE,
        BOOKWORM.replace('"', "'"),
        'ID="debian"\nVERSION_ID=13\n',
        "# a comment\n\nID=debian\nnonsense\nVERSION_ID='12'\nBROKEN=\"no end\n",
        "ID=fedora\nVERSION_ID=40\nID=debian\nVERSION_ID=12\n",  # as for a shell, the last counts
        "  ID=debian\r\n  VERSION_ID=12\r\n",
        "ID=debian\nVERSION_ID=12.9\n",  # a derivative that keeps Debian's id counts as the Debian that it says it is
    ],
)
def test_debian_12_and_13_are_taken_however_it_is_written(text: str) -> None:
    assert judged(text) == ""


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian\nVERSION_ID="11"', r"Debian GNU/Linux 11 .*too old"),
        ('PRETTY_NAME="Debian GNU/Linux 9 (stretch)"\nID=debian\nVERSION_ID="9"', r"stretch.*too old.*upgrade it"),
        ('PRETTY_NAME="Debian GNU/Linux 14 (forky)"\nID=debian\nVERSION_ID="14"', r"14 \(forky\).*a later wgnode"),
        ('PRETTY_NAME="Debian GNU/Linux forky/sid"\nVERSION_CODENAME=forky\nID=debian', r"forky/sid, .*no release"),
        ('PRETTY_NAME="Debian GNU/Linux trixie/sid"\nVERSION_ID=13\nID=debian', r"trixie/sid, .*no release"),
        ('PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"', r"Ubuntu 24.04.1 LTS \(ub"),
        ('PRETTY_NAME="Ubuntu 12.04"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="12"', r"made of Debian\); .*take another"),
        ('PRETTY_NAME="Linux Mint 22"\nID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"', r"made of Ubuntu\)"),
        (
            'PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"\nID=raspbian\nID_LIKE=debian\nVERSION_ID="12"',
            r"Raspbian GN",
        ),
        ('PRETTY_NAME="Devuan GNU/Linux 5"\nID=devuan\nID_LIKE=debian\nVERSION_ID="5"', r"Devuan GNU/Linux 5 \(devuan"),
        ('NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.3\nPRETTY_NAME="Alpine Linux v3.20"', r"v3.20 \(alpine\)"),
        ('NAME="Fedora Linux"\nVERSION_ID=41\nID=fedora', r"it is Fedora Linux \(fedora\)"),
        ('ID=arch\nPRETTY_NAME="Arch Linux"', r"it is Arch Linux \(arch\)"),
        ("ID=Debian\nVERSION_ID=12", r"it is Debian 12 \(Debian\)"),  # os-release's ids are in lower case
        ("ID=debian-like\nVERSION_ID=12", r"debian-like 12"),
        ("ID=nixos\nVERSION_ID=24.11", r"it is nixos 24.11 \(nixos\)"),
        ("", r"does not say what system it is.*os-release"),
        ("PRETTY_NAME=Debian\nVERSION_ID=12\n", r"does not say"),
        ("ID=\nVERSION_ID=12\n", r"does not say"),
        ("id=debian\nVERSION_ID=12\n", r"does not say"),
    ],
)
def test_another_system_is_refused_by_name_with_what_is_needed(text: str, what: str) -> None:
    with pytest.raises(Unsupported, match=rf"^host root@h: .*{what}") as refused:
        supported.require("root@h", supported.parse(said(HEAD + text + "\n")))
    assert "needed is a host of Debian 12 or 13 on amd64 or arm64" in str(refused.value)


@pytest.mark.parametrize("architecture", ["armhf", "i386", "aarch64", "riscv64", ""])
def test_debian_on_another_processor_is_refused(architecture: str) -> None:
    assert f"on {architecture or 'an unknown'}" in judged(TRIXIE, f"architecture {architecture}\ninit systemd\n")


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_debian_on_a_processor_that_images_are_made_for_is_taken(architecture: str) -> None:
    """Raspberry Pi OS of 64 bits says that it is Debian."""
    assert judged(TRIXIE, f"architecture {architecture}\ninit systemd\n") == ""


@pytest.mark.parametrize("init", ["init", "runit", ""])
def test_debian_without_systemd_is_refused(init: str) -> None:
    assert f"with {init or 'something else'} as process 1" in judged(BOOKWORM, f"architecture amd64\ninit {init}\n")


def test_what_a_host_says_of_itself_is_shown_in_part_and_without_control_signs() -> None:
    found = supported.parse(said(HEAD + "ID=x\nPRETTY_NAME='a\x1b[31m" + "b" * 5000 + "'\n"))
    assert "\x1b" not in str(found)
    assert len(str(found)) <= 100


def test_nothing_that_a_host_says_is_run() -> None:
    found = supported.parse(said(HEAD + 'ID=$(touch /x)\nVERSION_ID=`id`\nPRETTY_NAME="$HOME"\n'))
    assert (found.id, found.version, found.name) == ("$(touch", "`id`", "$HOME")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"etc/os-release": "ID=debian\n", "usr/lib/os-release": "ID=other\n"}, "debian"),
        ({"usr/lib/os-release": "ID=debian\n"}, "debian"),
        ({"etc/os-release": "", "usr/lib/os-release": "ID=debian\n"}, ""),  # etc's takes precedence, says os-release(5)
        ({"etc/os-release": "ID=debian\n" + "X" * 100_000 + "\nID=other\n"}, "debian"),
        ({}, ""),
    ],
)
def test_it_is_read_where_os_release_says_and_not_without_end(
    tmp_path: Path, files: dict[str, str], found: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    script = supported.QUERY.argv[2].replace(" /etc/", f" {tmp_path}/etc/").replace(" /usr/", f" {tmp_path}/usr/")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert supported.parse(said(done.stdout)).id == found
    assert done.stdout.startswith("architecture ")
