import pytest

from wgnode.image import cpio

ENTRIES = {
    "etc/wgnode/config.json": cpio.file(b"{}"),
    "etc/wgnode/secrets.json": cpio.file(b"x" * 5, 0o600),
    "lib64": cpio.symlink("usr/lib64"),
    "dev/null": cpio.character_device(1, 3, 0o666),
}


def test_what_is_packed_is_unpacked_with_the_directories_above() -> None:
    unpacked = dict(cpio.unpack(cpio.pack(ENTRIES)))
    assert {path: unpacked[path] for path in ENTRIES} == ENTRIES
    assert unpacked["etc"] == unpacked["etc/wgnode"] == cpio.directory()


def test_a_directory_comes_before_what_is_in_it() -> None:
    paths = [path for path, _ in cpio.unpack(cpio.pack(ENTRIES))]
    assert paths == sorted(paths)


def test_the_same_entries_give_the_same_bytes_in_any_order() -> None:
    assert cpio.pack(dict(reversed(ENTRIES.items()))) == cpio.pack(ENTRIES)


def test_parts_can_be_joined_at_any_place_where_one_ends() -> None:
    one, two = cpio.pack({"a": cpio.file(b"1")}), cpio.pack({"b": cpio.file(b"22")})
    assert len(one) % 512 == 0
    assert [path for path, _ in cpio.unpack(one + two)] == ["a", "b"]


def test_a_cut_archive_is_refused() -> None:
    whole = cpio.pack({"a": cpio.file(b"1" * 2000)})
    with pytest.raises(cpio.CpioError, match="cut off"):
        list(cpio.unpack(whole[:1000]))
    with pytest.raises(cpio.CpioError, match="no newc header"):
        list(cpio.unpack(b"garbage" * 100))
