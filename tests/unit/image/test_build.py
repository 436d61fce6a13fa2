"""When an image is built, left alone, or refused; what goes into it is the lab tests' matter."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from wgnode.image import apt, best, build, extension, lock, renew, traced, variants
from wgnode.image.architecture import AMD64, ARM64
from wgnode.image.archive import Members, read_members
from wgnode.image.errors import ImageError
from wgnode.image.extension import ExtensionError
from wgnode.image.guest_python import GuestPython
from wgnode.image.inputs import Inputs
from wgnode.image.variants import Variant

PINNED = lock.Package("libc6", "1", "amd64", "a" * 64, "pool/main/libc6_1_amd64.deb")
NEWER = lock.Package("libc6", "2", "amd64", "b" * 64, "pool/main/libc6_2_amd64.deb")
COMPILED, OTHER = {"wgnode_fastpath/core.so": b"1"}, {"wgnode_fastpath/core.so": b"2"}
MADE_BY = {"rustc": "1.95.0 (59807616e) x86_64", "cc": "cc 12.2.0"}
EXTENSION = lock.Extension("0" * 16, extension.digest(COMPILED), "f" * 64, MADE_BY)


class Project:
    """A project whose mirrors have `available` packages."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lock, self.requirements = directory / "image.lock", directory / "requirements.lock"
        self.output = directory / "out" / "appliance.tar"
        self.lock.write_text(lock.render([PINNED], EXTENSION))
        hashed = " \\\n    --hash=sha256:aa\n"
        self.requirements.write_text(f"cffi==1{hashed}cryptography==1{hashed}")
        self.available = {PINNED, NEWER}
        self.said: list[str] = []
        monkeypatch.setattr(apt, "machine_mirrors", lambda: apt.Mirrors(("m",), ()))
        monkeypatch.setattr(apt, "fetch", self._fetch)
        monkeypatch.setattr(build.wheels, "fetch", lambda *_: [])
        self.extension = COMPILED
        monkeypatch.setattr(build.extension, "WHY_NOT", directory / "why-not")
        monkeypatch.setattr(build.extension, "files", lambda: self.extension)
        monkeypatch.setattr(renew, "renewed", lambda *_: [NEWER])
        monkeypatch.setattr(build, "_members", self._members)

    def _fetch(self, package: lock.Package, mirrors: apt.Mirrors, cache: Path) -> Path:
        if package not in self.available:
            raise apt.GoneError(package, ["404"])
        return cache / package.file_name

    def _members(self, inputs: Inputs, files: dict[str, bytes], *_: object) -> Members:
        data = inputs.packages[0].version.encode() + b"".join(files.values())
        return Members(data, b"", build._description(inputs, "linux-image-6", []))

    def build(
        self, renew_if_gone: bool = False, variant: Variant = Variant.PINNED, wheel: Path | None = None
    ) -> build.Built:
        return build.build(
            self.output, self.lock, self.requirements, variant=variant, fastpath_wheel=wheel,
            renew_if_gone=renew_if_gone, report=self.said.append,
        )  # fmt: skip

    def best(self) -> build.Built:
        return best.build_best(self.lock, self.requirements, folder=self.output.parent, report=self.said.append)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def test_a_finished_image_is_left_alone_until_an_input_changes(project: Project) -> None:
    assert project.build().fresh
    assert not project.build().fresh
    project.lock.write_text(lock.render([NEWER], EXTENSION))
    assert project.build().fresh


@pytest.mark.parametrize(
    ("found", "says"),
    [(OTHER, "the one installed here is another"), ({}, "it is not installed here (it needs Cargo 1.89)")],
)
def test_without_the_pinned_extension_there_is_no_image_but_what_to_do(
    project: Project, found: dict[str, bytes], says: str
) -> None:
    extension.WHY_NOT.write_text("it needs Cargo 1.89")
    project.extension = found
    with pytest.raises(ExtensionError) as error:
        project.build()
    said = str(error.value)
    assert says in said
    for remedy in ("`rustup toolchain install 1.95.0`", "`make setup`", "--fastpath-wheel FILE", "--without-fastpath"):
        assert remedy in said
    assert "`gateway.image` as a URL" in said
    assert not project.output.exists()


ARM = lock.Package("libc6", "3", "arm64", "c" * 64, "pool/main/libc6_3_arm64.deb")


def test_an_image_of_another_architecture_is_of_its_packages_and_has_another_name(project: Project) -> None:
    project.lock.write_text(lock.render([PINNED, ARM], EXTENSION))
    project.available.add(ARM)
    built = build.build(
        project.output, project.lock, project.requirements, variant=Variant.PLAIN, architecture=ARM64,
        report=project.said.append,
    )  # fmt: skip
    members = read_members(project.output)
    assert built.name.endswith("-plain-arm64")
    assert (members.vmlinux, members.description["architecture"]) == (b"3", "arm64")
    assert (variants.variant_of(built.name), variants.architecture_of(built.name)) == (Variant.PLAIN, ARM64)
    with pytest.raises(ImageError, match="no compiled data plane for arm64"):
        build.build(project.output, project.lock, project.requirements, architecture=ARM64)


def test_what_traces_for_another_architecture_is_of_the_same_version(tmp_path: Path) -> None:
    of, here = ({traced.PYTHON: version} for version in ("3.13.5-2", "3.13.6-1"))
    with pytest.raises(ImageError, match=r"3\.13\.5-2 of arm64 and 3\.13\.6-1 of amd64"):
        traced.files(traced.Source(ARM64, [], of, []), traced.Source(AMD64, [], here, []), {}, tmp_path, tmp_path)


def test_what_is_traced_is_looked_up_by_the_other_architectures_names(tmp_path: Path) -> None:
    python = GuestPython(tmp_path, ARM64)
    ours = "lib-dynload/_ctypes.cpython-313-aarch64-linux-gnu.so"
    for name in (ours, "os.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    theirs = ["lib-dynload/_ctypes.cpython-313-x86_64-linux-gnu.so", "os.py"]
    assert python.counterparts(theirs, AMD64) == [ours, "os.py"]
    with pytest.raises(ImageError, match=r"_x86\.py is imported on amd64, and no package of arm64 has it"):
        python.counterparts(["_x86.py"], AMD64)


def test_a_finished_image_is_good_on_a_machine_that_lost_its_compiler(project: Project) -> None:
    project.build()
    project.extension = {}
    assert not project.build().fresh


def test_the_pinned_wheel_of_another_machine_makes_the_same_image(project: Project, tmp_path: Path) -> None:
    first = project.build()
    project.output.unlink()
    project.extension = {}
    wheel = tmp_path / "a.whl"
    for content, pinned in ((b"1", True), (b"2", False)):
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("wgnode_fastpath/core.so", content)
            archive.writestr("wgnode_fastpath-0.1.0.dist-info/METADATA", "")
        if pinned:
            assert project.build(wheel=wheel).sha256 == first.sha256
            project.output.unlink()
    with pytest.raises(ExtensionError, match=r"the one in .*a\.whl is another"):
        project.build(wheel=wheel)
    wheel.write_text("no zip")
    with pytest.raises(ImageError, match=r"a\.whl is no wheel"):
        project.build(wheel=wheel)


def test_an_image_that_was_brought_from_another_machine_is_taken_if_it_is_this_one(
    project: Project, tmp_path: Path
) -> None:
    made = project.build()
    brought = tmp_path / "brought.tar"
    shutil.copy(project.output, brought)
    project.output, project.extension = tmp_path / "here.tar", {}
    shutil.copy(brought, project.output)
    done = project.build()
    assert (done.fresh, done.sha256) == (False, made.sha256)
    project.lock.write_text(lock.render([NEWER], EXTENSION))
    with pytest.raises(ExtensionError):
        project.build()
    assert project.output.read_bytes() == brought.read_bytes(), "somebody's file is left as it is"


def test_another_image_has_to_be_asked_for_and_has_another_name(project: Project) -> None:
    names = {}
    for variant, found in ((Variant.PINNED, COMPILED), (Variant.LOCAL, OTHER), (Variant.PLAIN, COMPILED)):
        project.extension = found
        built = project.build(variant=variant)
        names[built.name] = built.sha256
        assert read_members(project.output).description["name"] == built.name
    assert [name.partition("-0.1.0")[2] for name in names] == ["", "-local", "-plain"]
    assert len(set(names.values())) == 3


def test_a_local_extension_that_is_none_or_the_pinned_one_is_said(project: Project) -> None:
    with pytest.raises(ImageError, match="is the pinned one: leave --local-fastpath out"):
        project.build(variant=Variant.LOCAL)
    project.extension = {}
    with pytest.raises(ImageError, match="is not installed here"):
        project.build(variant=Variant.LOCAL)


@pytest.mark.parametrize(
    ("found", "file"), [(COMPILED, "appliance.tar"), (OTHER, "appliance-local.tar"), ({}, "appliance-plain.tar")]
)
def test_who_has_to_have_an_image_gets_the_best_there_is_under_its_own_name(
    project: Project, found: dict[str, bytes], file: str
) -> None:
    project.extension = found
    built = project.best()
    assert Path(built.path).name == file
    assert best.find(project.output.parent) == Path(built.path)
    loud = [line for line in project.said if "WARNING" in line]
    assert bool(loud) == (file != "appliance.tar")
    assert not loud or f"building {file} instead" in loud[-1]
    project.said.clear()
    assert not project.best().fresh
    assert not [line for line in project.said if "WARNING" in line], "said once"


def test_an_image_of_other_sources_is_not_left_as_the_best(project: Project, tmp_path: Path) -> None:
    assert Path(project.best().path).name == "appliance.tar"
    project.extension = {}
    assert Path(project.best().path).name == "appliance.tar", "it is still the image of these inputs"
    project.lock.write_text(lock.render([NEWER], EXTENSION))
    assert Path(project.best().path).name == "appliance-plain.tar"
    assert best.find(project.output.parent).name == "appliance-plain.tar"


def test_an_image_that_somebody_put_there_is_never_removed(project: Project) -> None:
    project.extension = {}
    project.output.parent.mkdir()
    project.output.write_bytes(b"brought")
    assert Path(project.best().path).name == "appliance-plain.tar"
    assert project.output.read_bytes() == b"brought"


def test_a_lock_that_pins_no_extension_says_how_to_get_one(project: Project) -> None:
    project.lock.write_text(lock.render([PINNED]))
    with pytest.raises(ImageError, match=r"`fastpath sources` is 'missing'.*tools\.fastpath --lock"):
        project.build()


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
