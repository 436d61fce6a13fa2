"""What two images differ in, by layer; and the command's exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner

from wgnode.cli.image import command
from wgnode.image import compared, cpio
from wgnode.image.archive import Members, write_archive
from wgnode.image.compared import differences

FILES = {
    "init": cpio.file(b"12345", 0o755),
    "usr/lib/a.pyc": cpio.file(b"a"),
    "lib64": cpio.symlink("usr/lib64"),
    "dev/null": cpio.character_device(1, 3),
}
DESCRIPTION = {"name": "wgnode-1", "packages": {"libc6": "1", "zlib1g": "2"}, "wheels": ["a.whl"]}


def members(files: dict[str, cpio.Entry], **description: object) -> Members:
    return Members(b"kernel", zstandard.compress(cpio.pack(files)), {**DESCRIPTION, **description})


ONE = members(FILES)


def told(other: Members) -> list[tuple[str, str, str]]:
    return [(one.layer, one.kind, one.path) for one in differences(ONE, other)]


def test_an_image_differs_in_nothing_from_itself_however_it_is_compressed() -> None:
    archive = zstandard.ZstdDecompressor().decompressobj().decompress(ONE.initramfs)
    assert told(replace(ONE, initramfs=zstandard.ZstdCompressor(level=1).compress(archive))) == []
    assert compared.text([]) == "no difference"


def test_one_file_more_is_exactly_that() -> None:
    """With the folders above it, where they are new."""
    assert told(members(FILES | {"usr/lib/probe.pyc": cpio.file(b"x")})) == [
        ("initramfs.zst", "added", "usr/lib/probe.pyc")
    ]
    assert told(members(FILES | {"opt/probe": cpio.file(b"x")})) == [
        ("initramfs.zst", "added", "opt"),
        ("initramfs.zst", "added", "opt/probe"),
    ]


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("usr/lib/a.pyc", cpio.file(b"b")),
        ("init", cpio.file(b"12345", 0o4755)),
        ("lib64", cpio.symlink("usr/lib65")),
        ("lib64", cpio.file(b"usr/lib64")),
        ("dev/null", cpio.character_device(1, 1)),
    ],
)
def test_content_mode_target_and_numbers_make_another_file(path: str, entry: cpio.Entry) -> None:
    assert told(members(FILES | {path: entry})) == [("initramfs.zst", "changed", path)]


def test_each_layer_is_told_apart_and_packages_by_name() -> None:
    other = members({path: one for path, one in FILES.items() if path != "init"}, packages={"libc6": "2", "new": "1"})
    other = replace(other, vmlinux=b"another")
    assert told(other) == [
        ("manifest.json", "changed", "packages.libc6"),
        ("manifest.json", "added", "packages.new"),
        ("manifest.json", "removed", "packages.zlib1g"),
        ("vmlinux", "changed", "vmlinux"),
        ("initramfs.zst", "removed", "init"),
    ]
    assert compared.text(differences(ONE, other)).splitlines() == [
        "manifest.json: 1 added, 1 removed, 1 changed",
        "  ~ packages.libc6",
        "  + packages.new",
        "  - packages.zlib1g",
        "vmlinux: 1 changed",
        "  ~ vmlinux  6 to 7 bytes",
        "initramfs.zst: 1 removed",
        "  - init  5 bytes",
    ]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, ["diff", *arguments])
    return done.exit_code, done.output


def test_the_command_exits_like_diff(tmp_path: Path) -> None:
    one, other, none = (str(tmp_path / name) for name in ("one.tar", "other.tar", "none.tar"))
    write_archive(Path(one), ONE)
    write_archive(Path(other), members(FILES | {"init": cpio.file(b"123456", 0o700)}))
    assert run(one, one) == (0, "no difference\n")
    code, said = run(one, other)
    assert (code, said.splitlines()[-1]) == (1, "  ~ init  5 to 6 bytes, -rwxr-xr-x to -rwx------")
    code, said = run(one, none)
    assert (code, "is no appliance image" in said) == (2, True)
    code, said = run(one, other, "--json")
    layers = json.loads(said)["layers"]
    assert [one["path"] for one in layers["initramfs.zst"]["changed"]] == ["init"]
    assert layers["initramfs.zst"]["changed"][0]["after"]["mode"] == "-rwx------"
    assert (layers["vmlinux"], json.loads(said)["equal"]) == ({"added": [], "removed": [], "changed": []}, False)


def test_an_initial_file_system_that_is_none_is_an_error(tmp_path: Path) -> None:
    one = str(tmp_path / "one.tar")
    write_archive(Path(one), replace(ONE, initramfs=b"no zstd"))
    assert run(one, one)[0] == 2
