"""The classes for programs in Python are as the contracts say, and types that a program's own checker holds it to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pulumi_wgnode import contracts, sdk
from pulumi_wgnode.model import wire_name
from tools import ROOT

PROGRAM = """
import pulumi
from pulumi_wgnode import sdk
from pulumi_wgnode.contracts.connection import Connection

connection = Connection(address="192.0.2.1", host_keys=["ssh-ed25519 AAAA"])
host = sdk.HypervisorHost(
    "host",
    connection=connection,
    site={"id": "3fa9c1d2e4b50607", "mesh": "dev", "name": "berlin"},
    networks={"uplink": "wan0", "lanInterface": "lan0"},
)
firewall = sdk.NatFirewall(
    "firewall",
    connection={"address": host.instance, "hostKeys": ["ssh-ed25519 AAAA"]},
    site={"id": "3fa9c1d2e4b50607", "mesh": "dev", "name": "berlin"},
    instance=host.instance,
    uplink="wan0",
    management_networks=["192.0.2.0/24"],
    forwarding=host.forwarding,
)
rules: pulumi.Output[int] = firewall.rules.apply(len)
"""
WRONG = {
    "mesh": ('"mesh": "dev", "name"', '"mash": "dev", "name"', "arg-type"),
    "type": ('uplink="wan0"', "uplink=7", "arg-type"),
    "missing": ("    connection=connection,\n", "", "call-arg"),
    "output": ("firewall.rules", "firewall.rulez", "attr-defined"),
}


def checked(program: Path) -> str:
    """What mypy finds."""
    mypy = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir"]
    argv = [*mypy, str(program.parent / "cache"), str(program)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.mark.sampled(0)  # mypy reads all of Pulumi's SDK
def test_a_program_in_python_is_checked_to_its_last_key(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    assert "Success" in checked(program)
    for old, new, kind in WRONG.values():
        assert old in PROGRAM
        program.write_text(PROGRAM.replace(old, new, 1))
        assert f"[{kind}]" in checked(program), new


@pytest.mark.parametrize("contract", contracts.ALL.values(), ids=lambda contract: contract.name)
def test_a_class_has_all_outputs_of_its_contract(contract: contracts.Contract) -> None:
    made = getattr(sdk, contract.name)
    assert made.contract is contract
    repeated = contract.inputs.model_fields.items()
    for name in (
        *(name for name, field in repeated if wire_name(name, field) not in contract.unrepeated),
        *contract.outputs.model_fields,
    ):
        assert isinstance(getattr(made, name), property), name
