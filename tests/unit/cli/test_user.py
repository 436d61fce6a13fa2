"""`wgnode user`: a place in the stack file, a configuration shown once, and nothing that `up` would refuse."""

from __future__ import annotations

import configparser
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.unit.cli.test_site import FAKE_PULUMI
from tests.unit.topology.meshes import public_key, topology_of, two_sites
from wgnode.cli import userkeys
from wgnode.cli.clientconfig import qr_lines, write_png
from wgnode.cli.user import command
from wgnode.cli.userfile import SiteFile
from wgnode.nodeconfig import decode_key, encode_key
from wgnode.topology import users
from wgnode.topology.model import Topology

KEY, OTHER = (encode_key(public_key(name)) for name in ("phone", "laptop"))
BERLIN = """\
# Berlin, by hand.
config:
  wgmesh:role: site
  wgmesh:site:
    name: berlin
    mesh: dev-mesh
    lan:
      gatewayAddresses: [10.1.0.2, "fd00:10:1::2"]  # two
    pool:
      v4: 10.1.0.128/29   # small
      v6: fd00:10:1::1000/116
    groups:
      staff: {reach: all}
"""
CABIN = BERLIN.replace("berlin", "cabin").replace("10.1.", "10.2.").replace("fd00:10:1:", "fd00:10:2:")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Berlin's stack file, and an engine that has the mesh's outputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin") + ":/usr/bin:/bin")
    for folder in ("bin", "stacks"):
        (tmp_path / folder).mkdir()
    program = tmp_path / "bin/pulumi"
    program.write_text(FAKE_PULUMI)
    program.chmod(0o755)
    (tmp_path / "bin/outputs").write_text(json.dumps(topology_of(two_sites()).to_dict()))
    made = tmp_path / "stacks/Pulumi.dev-berlin.yaml"
    made.write_text(BERLIN)
    return made


def run(*words: str, code: int = 0) -> Result:
    answer = CliRunner().invoke(command, words)
    assert answer.exit_code == code, answer.output
    return answer


def site(file: Path) -> Any:
    return yaml.safe_load(file.read_text())["config"]["wgmesh:site"]


def add(*words: str, code: int = 0) -> Result:
    return run("add", "alice", "--device", "phone", "--group", "staff", *words, code=code)


def test_one_line_adds_a_device_and_prints_a_configuration_that_fits_the_file(file: Path) -> None:
    answer = add()
    phone = site(file)["users"]["alice"]["devices"]["phone"]
    assert site(file)["users"]["alice"]["groups"] == ["staff"]
    assert phone["addresses"] == ["10.1.0.129", "fd00:10:1::1001"]
    config = configparser.ConfigParser()
    config.optionxform = str  # type: ignore[assignment,method-assign]
    config.read_string(answer.stdout)
    own = X25519PrivateKey.from_private_bytes(decode_key(config["Interface"]["PrivateKey"]))
    assert encode_key(own.public_key().public_bytes_raw()) == phone["publicKey"]
    secret = decode_key((file.parents[1] / "bin/stdin").read_text().strip())
    preshared = users.preshared_key(secret, decode_key(phone["publicKey"]))
    assert dict(config["Interface"], PrivateKey="") == {
        "PrivateKey": "",
        "Address": "10.1.0.129/32, fd00:10:1::1001/128",
    }
    assert dict(config["Peer"]) == {
        "PublicKey": encode_key(public_key("berlin")),
        "PresharedKey": encode_key(preshared),
        "Endpoint": "198.51.100.2:51820",
        "AllowedIPs": "10.1.0.0/24, fd00:10:1::/64, 10.2.0.0/24, fd00:10:2::/64",
        "PersistentKeepalive": "25",
    }


def test_the_private_key_is_shown_once_and_is_nowhere_else_and_the_diff_is_shown(file: Path) -> None:
    answer = add("--png", "phone.png")
    private = answer.stdout.split("PrivateKey = ")[1].splitlines()[0]
    assert answer.output.count(private) == 1
    assert "▄" not in answer.output, "a QR code tells the key too: where nobody sees it, it would be in a log"
    for path in file.parents[1].rglob("*"):
        if path.is_file() and path.suffix != ".png":
            assert private not in path.read_text()
    assert "+      alice:" in answer.stderr
    assert "pulumi up -s dev-berlin" in answer.stderr
    assert (
        "config set --secret --path wgmesh:site.deviceSecret --stack dev-berlin"
        in (file.parents[1] / "bin/calls").read_text()
    )


def test_the_qr_code_has_the_configuration_and_its_file_is_for_its_owner(file: Path) -> None:
    answer = run("add", "alice", "--device", "phone", "--group", "staff", "--png", "phone.png", "--qr")
    assert "▄" in answer.stderr
    png = file.parents[1] / "phone.png"
    assert png.read_bytes().startswith(b"\x89PNG")
    assert png.stat().st_mode & 0o777 == 0o600
    assert (qr_lines(answer.stdout) or "none") in answer.stderr


def test_what_is_no_file_keeps_its_mode(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o644)
    os.chmod(pipe, 0o644)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert write_png("x", pipe)
        assert os.read(reader, 4) == b"\x89PNG"
    finally:
        os.close(reader)
    assert stat.S_IMODE(pipe.stat().st_mode) == 0o644


def test_every_other_line_stays_and_what_is_there_already_changes_nothing(file: Path) -> None:
    add()
    lines = file.read_text().splitlines()
    assert [line for line in lines if line in BERLIN.splitlines()] == BERLIN.splitlines()
    before = file.read_text()
    answer = add()
    assert file.read_text() == before
    assert "is there already" in answer.stderr
    assert answer.stdout == ""
    answer = add("--public-key", OTHER, code=1)
    assert "is there with another key" in answer.stderr


def test_a_device_that_brings_its_own_key_gets_all_but_that(file: Path) -> None:
    answer = add("--public-key", KEY)
    assert "# PrivateKey = the device's own" in answer.stdout
    assert "PresharedKey = " in answer.stdout
    assert site(file)["users"]["alice"]["devices"]["phone"]["publicKey"] == KEY
    answer = run("add", "bob", "--device", "phone", "--public-key", KEY, code=1)
    assert "device bob/phone has the public key of device alice/phone" in answer.stderr


def test_a_user_in_no_group_is_added_and_told_to_get_nothing(file: Path) -> None:
    answer = run("add", "bob", "--device", "phone")
    assert "user 'bob' is in no group, so the user's devices can't connect" in answer.stderr
    assert "user is in no group" in run("list").stdout


def test_an_address_that_is_given_up_rests(file: Path) -> None:
    add()
    run("remove", "alice")
    assert site(file)["users"] == {}
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert site(file)["pool"]["released"] == {"10.1.0.129": today, "fd00:10:1::1001": today}
    add()
    assert site(file)["users"]["alice"]["devices"]["phone"]["addresses"] == ["10.1.0.130", "fd00:10:1::1002"]
    assert "nothing to do" in run("remove", "eve").stderr
    for name in ("a", "b", "c", "d"):
        run("add", "alice", "--device", name)
    assert "10.1.0.129 is free again in 90 days" in run("add", "alice", "--device", "e", code=1).stderr
    text = file.read_text().replace(f'10.1.0.129: "{today}"', '10.1.0.129: "2020-01-01"')
    file.write_text(text)
    run("add", "alice", "--device", "e")
    assert site(file)["users"]["alice"]["devices"]["e"]["addresses"][0] == "10.1.0.129"
    assert "10.1.0.129" not in site(file)["pool"]["released"]


def test_disable_expire_and_rotate_change_what_they_say_and_can_be_said_twice(file: Path) -> None:
    add()
    before = site(file)["users"]["alice"]
    for _ in range(2):
        run("disable", "alice", "--device", "phone")
        run("expire", "alice", "2099-01-31")
    alice = site(file)["users"]["alice"]
    assert (alice["expires"], alice["devices"]["phone"]["disabled"]) == ("2099-01-31", True)
    (row,) = json.loads(run("list", "--json").stdout)["devices"]
    assert (row["state"], row["expires"], row["site"]) == ("disabled", "2099-01-31", "berlin")
    run("disable", "alice", "--device", "phone", "--undo")
    run("expire", "alice", "never")
    assert site(file)["users"]["alice"] == before
    answer = run("rotate", "alice", "--device", "phone")
    after = site(file)["users"]["alice"]["devices"]["phone"]
    assert after["addresses"] == before["devices"]["phone"]["addresses"]
    assert after["publicKey"] != before["devices"]["phone"]["publicKey"]
    assert "PrivateKey = " in answer.stdout
    assert json.loads(run("show", "alice", "--json").stdout)["devices"][0]["state"] == "may connect"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "Alice", "--device", "phone"], "user name 'Alice'"),
        (["add", "alice", "--device", "my phone"], "device name 'my phone'"),
        (["add", "alice", "--device", "phone", "--group", "staf"], "there is no group 'staf' (there are: staff)"),
        (["add", "alice", "--device", "phone", "--expires", "2020-01-01"], "2020-01-01 is over already"),
        (["add", "alice", "--device", "phone", "--expires", "soon"], "write it like 2027-01-31"),
        (["add", "alice", "--device", "phone", "--public-key", "x"], "--public-key: a key is not valid base64"),
        (
            ["add", "alice", "--device", "phone", "--site", "paris"],
            "no stack file here is of a site that is called 'paris'",
        ),
        (["show", "eve"], "no stack file here is of a site that has a user 'eve'"),
        (["list", "--site", "paris"], "no stack file here is of a site that is called 'paris'"),
        (["list", "--directory", "nowhere"], "there is no stack file nowhere/Pulumi.*.yaml; --directory and"),
        (["remove", "alice", "-e", "prod"], "there is no stack file stacks/Pulumi.prod-*.yaml; --directory and"),
    ],
)
def test_what_would_be_refused_later_is_refused_now_and_nothing_is_written(
    file: Path, words: list[str], says: str
) -> None:
    answer = run(*words, code=1)
    assert says in answer.stderr
    assert file.read_text() == BERLIN


def test_a_home_without_endpoint_is_refused_by_name_and_of_two_sites_one_must_be_named(file: Path) -> None:
    cabin = file.with_name("Pulumi.dev-cabin.yaml")
    cabin.write_text(CABIN)
    assert "there is more than one site that has a pool: berlin" in add(code=1).stderr
    answer = add("--site", "cabin", code=1)
    assert "site 'cabin' has no endpoint" in answer.stderr
    assert "(with an endpoint: berlin)" in answer.stderr
    assert cabin.read_text() == CABIN
    add("--site", "berlin")
    assert "alice" in site(file)["users"]


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        ("stack output*", "outputs of stack dev-mesh can't be read (the engine says no)"),
        ("config set*", "`pulumi config set` failed, so nothing was written"),
    ],
)
def test_an_engine_that_fails_leaves_the_file_as_it_is(
    file: Path, monkeypatch: pytest.MonkeyPatch, fails: str, says: str
) -> None:
    monkeypatch.setenv("FAKE_FAILS", fails)
    assert says in add(code=1).stderr
    assert file.read_text() == BERLIN


def test_a_file_that_has_one_address_twice_is_refused_by_every_command(file: Path) -> None:
    """As a merge of two people's additions may leave it."""
    add()
    text = file.read_text()
    twice = (
        text[text.index("      alice:") :]
        .replace("alice", "bob")
        .replace(site(file)["users"]["alice"]["devices"]["phone"]["publicKey"], OTHER)
    )
    file.write_text(text + twice)
    answer = run("add", "carol", "--device", "phone", code=1)
    assert "device bob/phone: 10.1.0.129 is device alice/phone's already" in answer.stderr


def test_a_person_and_a_device_have_one_home(file: Path) -> None:
    cabin = file.with_name("Pulumi.dev-cabin.yaml")
    cabin.write_text(CABIN)
    run("add", "alice", "--device", "phone", "--group", "staff", "--public-key", KEY, "--site", "berlin")
    outputs = file.parents[1] / "bin/outputs"
    mesh = two_sites()
    mesh["sites"]["cabin"]["endpoint"] = "198.51.100.3:51820"
    outputs.write_text(json.dumps(topology_of(mesh).to_dict()))
    before = cabin.read_text()
    answer = run("add", "alice", "--device", "laptop", "--site", "cabin", code=1)
    assert "user 'alice' has a home already, site 'berlin'" in answer.stderr
    answer = run("add", "bob", "--device", "phone", "--public-key", KEY, "--site", "cabin", code=1)
    assert "device bob/phone has the public key of alice/phone at site 'berlin'" in answer.stderr
    assert cabin.read_text() == before
    cabin.write_text(CABIN.replace("mesh: dev-mesh", "mesh: test-mesh"))
    run("add", "alice", "--device", "laptop", "--site", "cabin")


GUESTS = "guests: {reach: [{sites: [cabin]}, {networks: [192.168.7.0/24, 10.1.0.5/32, 10.1.0.0/16]}, {internet: true}]}"


@pytest.mark.parametrize(
    ("groups", "member", "reached"),
    [
        (GUESTS, "guests", "10.1.0.0/24, fd00:10:1::/64, 10.2.0.0/24, fd00:10:2::/64, 10.1.0.0/16, 192.168.7.0/24"),
        ("guests: {reach: [{groups: [guests]}]}", "guests", "10.1.0.0/24, fd00:10:1::/64"),
        ("guests: {reachableFrom: [{networks: [10.9.0.0/16]}]}", "guests", "10.1.0.0/24, fd00:10:1::/64, 10.9.0.0/16"),
        (GUESTS[:-1] + ", egress: masquerade}", "guests", "0.0.0.0/0, ::/0"),
        ("guests: {reach: [{sites: [berlin]}], egress: masquerade}", "guests", "10.1.0.0/24, fd00:10:1::/64"),
        ("guests: {reach: all}", "guests", "10.1.0.0/24, fd00:10:1::/64, 10.2.0.0/24, fd00:10:2::/64"),
    ],
)
def test_what_a_device_sends_into_its_tunnel_follows_the_policy(
    file: Path, groups: str, member: str, reached: str
) -> None:
    file.write_text(BERLIN.replace("      staff: {reach: all}", f"      {groups}"))
    answer = run("add", "alice", "--device", "phone", "--group", member)
    assert f"AllowedIPs = {reached}\n" in answer.stdout


def test_where_no_qr_code_can_be_written_nothing_is(file: Path) -> None:
    """The private key would be lost, and the device there."""
    answer = add("--png", "nowhere/phone.png", code=1)
    assert "nowhere/phone.png: No such file" in answer.stderr
    assert "users" not in site(file)


def test_what_somebody_else_has_written_meanwhile_is_not_overwritten(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that add at once in one clone one says so, and has an address of its own the next time."""
    mesh_of = userkeys.mesh_of

    def slowly(mine: SiteFile) -> Topology:
        monkeypatch.setattr(userkeys, "mesh_of", mesh_of)
        run("add", "bob", "--device", "phone", "--group", "staff")
        return mesh_of(mine)

    add("--public-key", KEY)
    monkeypatch.setattr(userkeys, "device_secret", lambda mine: bytes(32))
    monkeypatch.setattr(userkeys, "mesh_of", slowly)
    answer = run("add", "alice", "--device", "laptop", code=1)
    assert "was changed by somebody else meanwhile" in answer.stderr
    assert set(site(file)["users"]) == {"alice", "bob"}
    assert "10.1.0.131" in run("add", "alice", "--device", "laptop").stdout


LEAVING = BERLIN.replace(
    "staff: {reach: all}", "staff: {reach: all, egress: pool}\n      guests: {reach: all}"
).replace("    groups:\n", "    egressPool:\n      v4: 203.0.113.32/29\n      v6: 2001:db8:1::40/124\n    groups:\n")


def test_whose_group_says_so_gets_an_address_outside_and_a_configuration_for_everything(file: Path) -> None:
    file.write_text(LEAVING)
    answer = add()
    phone = site(file)["users"]["alice"]["devices"]["phone"]
    assert phone["egressAddresses"] == ["2001:db8:1::41", "203.0.113.33"]
    assert "AllowedIPs = 0.0.0.0/0, ::/0\n" in answer.stdout
    answer = run("add", "bob", "--device", "desk", "--group", "guests")
    assert "egressAddresses" not in site(file)["users"]["bob"]["devices"]["desk"]
    assert "AllowedIPs = 10.1.0.0/24," in answer.stdout
    run("add", "bob", "--device", "desk", "--group", "staff")
    assert site(file)["users"]["bob"]["devices"]["desk"]["egressAddresses"] == ["2001:db8:1::42", "203.0.113.34"]
    listed = json.loads(run("list", "--json").stdout)["devices"]
    assert {one["user"]: one["public"] for one in listed} == {
        "alice": ["2001:db8:1::41", "203.0.113.33"],
        "bob": ["2001:db8:1::42", "203.0.113.34"],
    }


def test_an_address_outside_rests_too(file: Path) -> None:
    file.write_text(LEAVING)
    add()
    run("remove", "alice")
    assert set(site(file)["egressPool"]["released"]) == {"2001:db8:1::41", "203.0.113.33"}
    add()
    assert site(file)["users"]["alice"]["devices"]["phone"]["egressAddresses"] == ["2001:db8:1::42", "203.0.113.34"]


def test_when_all_addresses_outside_are_taken_it_is_said(file: Path) -> None:
    file.write_text(LEAVING.replace("203.0.113.32/29", "203.0.113.33/32"))
    add()
    answer = run("add", "bob", "--device", "desk", "--group", "staff", code=1)
    assert "all addresses of pool 203.0.113.33/32 are devices'; give a larger one" in answer.output
