"""The bill of materials, held to CycloneDX's own schema, and to what an image says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from tools import locked
from wgnode.cli import image as cli
from wgnode.image import budget, cpio, lock, sbom
from wgnode.image.archive import Members, write_archive
from wgnode.image.build import PROJECT
from wgnode.image.errors import ImageError

SCHEMAS = "bom-1.6.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json", "spdx.SNAPSHOT.schema.json"
DESCRIPTION: dict[str, Any] = {
    "name": "wgnode-1.2",
    "version": "1.2",
    "inputs": "ab" * 32,
    "extension": "cd" * 32,
    "packages": {"libc6": "2.41-12+deb13u4", "linux-image-6.12": "6.12.117-1", "zlib1g": "1:1.3.dfsg+really1.3.1-1"},
    "wheels": ["cffi-2.1.1-cp313-cp313-manylinux2014_x86_64.whl", "cryptography-50.0.2-cp311-abi3-linux.whl"],
}
IMAGE = Members(b"kernel", zstandard.compress(cpio.pack({"init": cpio.file(b"1")})), DESCRIPTION)
CARGO = (PROJECT / "fastpath" / "Cargo.toml").read_text(), (PROJECT / "fastpath" / "Cargo.lock").read_text()


def violations(bill: dict[str, Any]) -> list[str]:
    """Of the schema that CycloneDX publishes, with the two that it refers to."""
    schemas = locked.ensure("cyclonedx") / "cyclonedx" / "schema" / "_res"
    read = {name: json.loads((schemas / name).read_text()) for name in SCHEMAS}
    there = [(f"http://cyclonedx.org/schema/{name}", DRAFT7.create_resource(one)) for name, one in read.items()]
    validator = Draft7Validator(read[SCHEMAS[0]], registry=Registry().with_resources(there))
    return [error.message for error in validator.iter_errors(bill)]


def test_it_is_as_the_schema_says_and_the_schema_can_refuse() -> None:
    bill = sbom.bill(IMAGE, sbom.crates(*CARGO))
    assert violations(bill) == []
    assert violations({**bill, "serialNumber": "urn:uuid:1"}) != []
    assert violations({**bill, "components": [*bill["components"], bill["components"][0]]}) != []


def test_every_package_wheel_and_crate_has_its_place() -> None:
    purls = [one.get("purl") for one in sbom.bill(IMAGE, sbom.crates(*CARGO))["components"]]
    assert "pkg:deb/debian/libc6@2.41-12%2Bdeb13u4?arch=amd64&distro=debian-13" in purls
    assert "pkg:deb/debian/zlib1g@1%3A1.3.dfsg%2Breally1.3.1-1?arch=amd64&distro=debian-13" in purls
    assert "pkg:pypi/cryptography@50.0.2?file_name=cryptography-50.0.2-cp311-abi3-linux.whl" in purls
    assert any(purl and purl.startswith("pkg:cargo/ring@0.17") for purl in purls)


def test_packages_are_of_the_images_architecture() -> None:
    bill = sbom.bill(Members(IMAGE.vmlinux, IMAGE.initramfs, {**DESCRIPTION, "architecture": "arm64"}))
    assert "pkg:deb/debian/libc6@2.41-12%2Bdeb13u4?arch=arm64&distro=debian-13" in {
        one.get("purl") for one in bill["components"]
    }


def test_of_the_crates_those_of_tests_are_left_out() -> None:
    names = {crate.name for crate in sbom.crates(*CARGO)}
    assert {"ring", "blake2", "pyo3", "zeroize", "digest"} <= names
    assert not names & {"loom", "proptest", "wgnode-fastpath"}
    assert all(len(crate.sha256) == 64 for crate in sbom.crates(*CARGO))


def test_the_same_image_has_the_same_bill_and_another_one_has_another_number() -> None:
    again = sbom.bill(Members(IMAGE.vmlinux, IMAGE.initramfs, dict(DESCRIPTION)))
    assert again == sbom.bill(IMAGE)
    assert sbom.bill(Members(b"other", IMAGE.initramfs, DESCRIPTION))["serialNumber"] != again["serialNumber"]


@pytest.mark.parametrize("pinned", [True, False])
def test_the_command_tells_crates_of_the_pinned_data_plane_only(tmp_path: Path, pinned: bool) -> None:
    files = lock.parse_extension((PROJECT / "image.lock").read_text()).files if pinned else "ef" * 32
    write_archive(tmp_path / "a.tar", Members(b"kernel", IMAGE.initramfs, {**DESCRIPTION, "extension": files}))
    done = CliRunner().invoke(cli.command, ["sbom", str(tmp_path / "a.tar")])
    assert done.exit_code == 0
    names = {one["name"] for one in json.loads(done.stdout)["components"]}
    assert ("ring" in names, "its crates are not told" in done.stderr) == (pinned, not pinned)
    assert "wgnode-fastpath" in names


def test_an_image_over_its_budget_is_not_built() -> None:
    assert budget.require(bytes(1 << 20), 1 << 20) == "initial file system 1.00 MiB of 1.00 MiB"
    with pytest.raises(ImageError, match=r"1 bytes over its budget of 1\.00 MiB"):
        budget.require(bytes((1 << 20) + 1), 1 << 20)
