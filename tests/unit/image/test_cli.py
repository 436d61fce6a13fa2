import json
from pathlib import Path

import pytest
import zstandard
from click.testing import CliRunner

from wgnode.cli import image as cli
from wgnode.image import apt, cpio, lock, renew
from wgnode.image.architecture import AMD64
from wgnode.image.archive import Members, write_archive
from wgnode.image.errors import ImageError
from wgnode.image.variants import Variant

LIBC = lock.Package("libc6", "2", "amd64", "a" * 64, "pool/main/libc6_2_amd64.deb")


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_list_prints_what_is_in_the_initial_file_system(runner: CliRunner, tmp_path: Path) -> None:
    archive = cpio.pack({"init": cpio.file(b"12345", 0o755), "lib64": cpio.symlink("usr/lib64")})
    write_archive(tmp_path / "a.tar", Members(b"kernel", zstandard.compress(archive), {}))
    done = runner.invoke(cli.command, ["list", str(tmp_path / "a.tar")])
    assert [line.split() for line in done.output.splitlines()] == [
        ["-rwxr-xr-x", "5", "init"],
        ["lrwxrwxrwx", "9", "lib64"],
    ]


def test_a_file_that_is_no_image_is_an_error_without_a_traceback(runner: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no image")
    done = runner.invoke(cli.command, ["list", str(tmp_path / "x")])
    assert done.exit_code == 1
    assert "Error:" in done.output
    assert "is no appliance image" in done.output


def test_build_reports_on_standard_error_and_prints_json_alone(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(output: Path, *_: object, report: object, **__: object) -> cli.Built:
        assert callable(report)
        report("image: building")
        return cli.Built(str(output), "wgnode-0", "s", 1, "i", renewed=False, fresh=True)

    monkeypatch.setattr(cli, "build_image", build)
    done = runner.invoke(cli.command, ["build", "--json", "--output", str(tmp_path / "a.tar")])
    assert json.loads(done.stdout)["sha256"] == "s"
    assert done.stderr == "image: building\n"


@pytest.mark.parametrize(
    ("options", "variant", "file"),
    [
        (["--arch", "amd64"], Variant.PINNED, "appliance.tar"),
        (["--arch", "arm64"], Variant.PLAIN, "appliance-plain-arm64.tar"),
        (["--arch", "arm64", "--without-fastpath"], Variant.PLAIN, "appliance-plain-arm64.tar"),
        ([], Variant.PINNED, "appliance.tar"),
        (["--without-fastpath"], Variant.PLAIN, "appliance-plain.tar"),
        (["--local-fastpath"], Variant.LOCAL, "appliance-local.tar"),
    ],
)
def test_each_kind_of_image_has_its_own_file(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, options: list[str], variant: Variant, file: str
) -> None:
    asked: list[tuple[str, object]] = []

    def build(output: Path, *_: object, variant: Variant, **__: object) -> cli.Built:
        asked.append((output.name, variant))
        return cli.Built(str(output), "wgnode-0", "s", 1, "i", renewed=False, fresh=True)

    monkeypatch.setattr(cli, "build_image", build)
    assert runner.invoke(cli.command, ["build", *options]).exit_code == 0
    assert asked == [(file, variant)]


@pytest.mark.parametrize(
    "options",
    [
        ["--best", "--without-fastpath"],
        ["--best", "--output", "x"],
        ["--arch", "arm64", "--local-fastpath"],
        ["--arch", "arm64", "--best"],
        ["--arch", "arm64", "--fastpath-wheel", "a.whl"],
        ["--arch", "riscv64"],
    ],
)
def test_options_that_exclude_each_other_are_refused(runner: CliRunner, options: list[str]) -> None:
    assert runner.invoke(cli.command, ["build", *options]).exit_code == 2


def test_renewing_the_packages_keeps_what_is_pinned_of_the_extension(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "machine_mirrors", lambda: apt.Mirrors(("m",), ()))
    monkeypatch.setattr(renew, "renewed", lambda *said: [LIBC] if said[-1] is AMD64 else [])
    file, pinned = tmp_path / "image.lock", lock.Extension("0" * 16, "1" * 64, "2" * 64, {"rustc": "1.95.0 (x)"})
    file.write_text(lock.render([lock.Package("libc6", "1", "amd64", "a" * 64, LIBC.path)], pinned))
    assert runner.invoke(cli.command, ["lock", "--output", str(file)]).output == "~ libc6 1 -> 2\n"
    assert lock.parse_extension(file.read_text()) == pinned


def test_lock_writes_what_the_signed_lists_offer_and_tells_the_changes(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "machine_mirrors", lambda: apt.Mirrors(("m",), ()))
    monkeypatch.setattr(renew, "renewed", lambda *said: [LIBC] if said[-1] is AMD64 else [])
    file = tmp_path / "image.lock"
    first = runner.invoke(cli.command, ["lock", "--output", str(file)])
    assert first.output == "+ libc6 2\n"
    assert lock.parse(file.read_text()) == [LIBC]
    assert runner.invoke(cli.command, ["lock", "--output", str(file)]).output == "nothing has changed\n"


def test_a_lock_that_can_not_be_renewed_stays(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable() -> apt.Mirrors:
        raise ImageError("no Debian mirror")

    monkeypatch.setattr(apt, "machine_mirrors", unreachable)
    file = tmp_path / "image.lock"
    file.write_text(lock.render([LIBC]))
    done = runner.invoke(cli.command, ["lock", "--output", str(file)])
    assert done.exit_code == 1
    assert "no Debian mirror" in done.output
    assert lock.parse(file.read_text()) == [LIBC]
