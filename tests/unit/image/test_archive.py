from pathlib import Path

import pytest

from wgnode.image.archive import Members, read_members, write_archive
from wgnode.image.errors import ImageError

MEMBERS = Members(b"kernel" * 1000, b"initramfs" * 1000, {"format": 1, "kernel": "6.12"})


def test_what_is_written_is_read_again_and_the_same_every_time(tmp_path: Path) -> None:
    first = write_archive(tmp_path / "a.tar", MEMBERS)
    assert write_archive(tmp_path / "b.tar", MEMBERS) == first
    assert read_members(tmp_path / "a.tar") == MEMBERS
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.tar", "b.tar"]


def test_a_damaged_image_is_refused_by_name(tmp_path: Path) -> None:
    image = tmp_path / "a.tar"
    write_archive(image, MEMBERS)
    whole = image.read_bytes()
    image.write_bytes(whole.replace(b"kernelkernel", b"kernelKernel", 1))
    with pytest.raises(ImageError, match=r"a\.tar is damaged: vmlinux"):
        read_members(image)
    image.write_bytes(whole[:3000])
    with pytest.raises(ImageError, match=r"a\.tar is no appliance image"):
        read_members(image)
    with pytest.raises(ImageError, match=r"missing\.tar is no appliance image"):
        read_members(tmp_path / "missing.tar")
