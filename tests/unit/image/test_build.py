"""When an image is built, left alone, or refused; what goes into it is the lab tests' matter."""

from pathlib import Path

import pytest

from wgnode.image import apt, build, lock, renew
from wgnode.image.archive import Members
from wgnode.image.errors import ImageError

PINNED = lock.Package("libc6", "1", "amd64", "a" * 64, "pool/main/libc6_1_amd64.deb")
NEWER = lock.Package("libc6", "2", "amd64", "b" * 64, "pool/main/libc6_2_amd64.deb")


class Project:
    """A project whose mirrors have `available` packages."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lock, self.requirements = directory / "image.lock", directory / "requirements.lock"
        self.output = directory / "out" / "appliance.tar"
        self.lock.write_text(lock.render([PINNED]))
        hashed = " \\\n    --hash=sha256:aa\n"
        self.requirements.write_text(f"cffi==1{hashed}cryptography==1{hashed}")
        self.available = {PINNED, NEWER}
        self.said: list[str] = []
        monkeypatch.setattr(apt, "machine_mirrors", lambda: apt.Mirrors(("m",), ()))
        monkeypatch.setattr(apt, "fetch", self._fetch)
        monkeypatch.setattr(build.wheels, "fetch", lambda *_: [])
        self.extension = {"wgnode_fastpath/core.so": b"1"}
        monkeypatch.setattr(build.extension, "files", lambda: self.extension)
        monkeypatch.setattr(renew, "renewed", lambda *_: [NEWER])
        monkeypatch.setattr(build, "_members", self._members)

    def _fetch(self, package: lock.Package, mirrors: apt.Mirrors, cache: Path) -> Path:
        if package not in self.available:
            raise apt.GoneError(package, ["404"])
        return cache / package.file_name

    def _members(self, inputs: build.Inputs, *_: object) -> Members:
        return Members(inputs.packages[0].version.encode(), b"", {})

    def build(self, renew_if_gone: bool = False) -> build.Built:
        return build.build(
            self.output, self.lock, self.requirements, renew_if_gone=renew_if_gone, report=self.said.append
        )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def test_a_finished_image_is_left_alone_until_an_input_changes(project: Project) -> None:
    assert project.build().fresh
    assert not project.build().fresh
    project.lock.write_text(lock.render([NEWER]))
    assert project.build().fresh


def test_another_extension_or_none_makes_another_image(project: Project) -> None:
    project.build()
    project.extension = {"wgnode_fastpath/core.so": b"2"}
    assert project.build().fresh
    project.extension = {}
    assert project.build().fresh
    assert not project.build().fresh


def test_a_finished_image_that_was_changed_or_cut_is_built_again(project: Project) -> None:
    first = project.build()
    project.output.write_bytes(project.output.read_bytes()[:-512])
    again = project.build()
    assert again.fresh
    assert again.sha256 == first.sha256


def test_a_package_that_is_gone_ends_the_build_with_nothing_made(project: Project) -> None:
    project.available = {NEWER}
    with pytest.raises(ImageError, match=r"libc6 1 of image\.lock .*wgnode image lock"):
        project.build()
    assert not project.output.exists()


def test_renewing_is_loud_and_the_committed_lock_stays(project: Project) -> None:
    project.available = {NEWER}
    before = project.lock.read_text()
    assert project.build(renew_if_gone=True).renewed
    assert [line for line in project.said if "WARNING" in line and "newer packages" in line]
    assert project.lock.read_text() == before


def test_an_image_of_renewed_packages_satisfies_only_who_allows_it(project: Project) -> None:
    project.available = {NEWER}
    project.build(renew_if_gone=True)
    assert not project.build(renew_if_gone=True).fresh
    with pytest.raises(ImageError, match="libc6 1"):
        project.build()


def test_outside_a_clone_the_missing_file_is_named(project: Project) -> None:
    project.requirements.unlink()
    with pytest.raises(ImageError, match=r"requirements\.lock does not exist"):
        project.build()
