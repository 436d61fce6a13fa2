import pytest

from wgnode.image import lock

LIBC = lock.Package("libc6", "2.41-12", "amd64", "a" * 64, "pool/main/g/glibc/libc6_2.41-12_amd64.deb")
ZLIB = lock.Package("zlib1g", "1:1.3.1-1", "amd64", "b" * 64, "pool/updates/main/z/zlib/zlib1g_1.3.1-1_amd64.deb")


def test_what_is_rendered_is_parsed_again_whatever_the_order() -> None:
    assert lock.parse(lock.render([ZLIB, LIBC])) == [LIBC, ZLIB]


def test_the_lock_names_no_host() -> None:
    assert "://" not in lock.render([LIBC, ZLIB])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("libc6 2.41 amd64 " + "a" * 64, "4 words"),
        ("libc6 2.41 amd64 " + "a" * 63 + " pool/x.deb", "no SHA-256"),
        ("libc6 2.41 amd64 " + "a" * 64 + " https://mirror/pool/x.deb", "no pool/"),
        ("libc6 2.41 amd64 " + "a" * 64 + " pool/../../x.deb", "no pool/"),
        ("", "no package"),
    ],
)
def test_a_line_that_can_not_be_right_is_named(line: str, words: str) -> None:
    with pytest.raises(lock.LockError, match=words):
        lock.parse(line + "\n")


def test_a_package_listed_twice_is_refused() -> None:
    with pytest.raises(lock.LockError, match="libc6 is listed twice"):
        lock.parse(lock.render([LIBC, LIBC]))


ARM = lock.Package("libc6", "2.41-12", "arm64", "d" * 64, "pool/main/g/glibc/libc6_2.41-12_arm64.deb")


def test_each_architecture_has_its_own_packages_of_the_same_names() -> None:
    text = lock.render([ARM, ZLIB, LIBC])
    assert lock.parse(text, "amd64") == [LIBC, ZLIB]
    assert lock.parse(text, "arm64") == [ARM]
    assert lock.parse(text) == sorted([LIBC, ARM, ZLIB])
    with pytest.raises(lock.LockError, match="no package of riscv64 in it"):
        lock.parse(text, "riscv64")
    assert lock.changes([LIBC], [LIBC, ARM]) == ["+ libc6:arm64 2.41-12"]


def test_changes_tell_new_gone_and_changed_packages() -> None:
    newer = lock.Package("libc6", "2.42-1", "amd64", "c" * 64, LIBC.path)
    assert lock.changes([LIBC], [newer, ZLIB]) == ["+ zlib1g 1:1.3.1-1", "~ libc6 2.41-12 -> 2.42-1"]
    assert lock.changes([LIBC, ZLIB], [LIBC]) == ["- zlib1g 1:1.3.1-1"]


def test_other_bytes_under_the_same_version_are_told() -> None:
    other = lock.Package("libc6", LIBC.version, "amd64", "c" * 64, LIBC.path)
    assert lock.changes([LIBC], [other]) == ["~ libc6 2.41-12: the same version with other bytes"]
