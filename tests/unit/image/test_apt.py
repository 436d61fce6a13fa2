from pathlib import Path

import pytest

from wgnode.image import apt
from wgnode.image.errors import ImageError
from wgnode.image.lock import Package

DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian/
Suites: bookworm
 bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://third.example/debian
Suites: nodistro
Components: main

Types: deb
Enabled: no
URIs: http://disabled.example/debian
Suites: bookworm
"""
ONE_LINE = """\
# deb http://old.example/debian bookworm main
deb [signed-by=/usr/share/keyrings/x.gpg] http://line.example/debian trixie main
deb http://line.example/debian-security trixie-security main
deb-src http://line.example/source trixie main
"""


def sources(directory: Path, **files: str) -> Path:
    (directory / "sources.list.d").mkdir()
    for name, text in files.items():
        (directory / name.replace("__", "/").replace("_dot_", ".")).write_text(text)
    return directory


def test_debian_mirrors_are_found_in_deb822_sources_and_others_left_out(tmp_path: Path) -> None:
    found = apt.machine_mirrors(sources(tmp_path, sources_dot_list_dot_d__debian_dot_sources=DEB822))
    assert found.archive == ("http://mirror.example/debian",)
    assert found.security == ("http://mirror.example/debian-security",)


def test_debian_mirrors_are_found_in_one_line_sources(tmp_path: Path) -> None:
    found = apt.machine_mirrors(sources(tmp_path, sources_dot_list=ONE_LINE))
    assert found == apt.Mirrors(("http://line.example/debian",), ("http://line.example/debian-security",))


def test_a_file_of_mirrors_is_followed(tmp_path: Path) -> None:
    mirrors = tmp_path / "mirrors.list"
    mirrors.write_text("# mirrors\nhttp://one.example/debian/ priority:1\nhttp://two.example/debian\n")
    text = f"deb mirror+file:{mirrors} bookworm main\n"
    found = apt.machine_mirrors(sources(tmp_path, sources_dot_list=text))
    assert found.archive == ("http://one.example/debian", "http://two.example/debian")


def test_a_machine_without_debian_mirrors_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no Debian mirror"):
        apt.machine_mirrors(sources(tmp_path))


def test_security_packages_are_looked_for_in_the_security_archive_first() -> None:
    mirrors = apt.Mirrors(("main",), ("security",))
    fixed = Package("a", "1", "amd64", "0" * 64, "pool/updates/main/a.deb")
    plain = Package("a", "1", "amd64", "0" * 64, "pool/main/a.deb")
    assert mirrors.candidates(fixed) == ("security", "main")
    assert mirrors.candidates(plain) == ("main", "security")


def test_a_package_that_is_gone_is_named_with_the_way_out(tmp_path: Path) -> None:
    gone = Package("libold", "1.0", "amd64", "0" * 64, "pool/main/libo/libold_1.0_amd64.deb")
    mirrors = apt.Mirrors((f"file://{tmp_path}/empty",), ())
    with pytest.raises(apt.GoneError, match=r"libold 1\.0 .*wgnode image lock.*--renew-if-gone"):
        apt.fetch(gone, mirrors, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.deb")), "nothing half fetched stays"
