"""tools/setup does only what is missing; run in a pretended clone, with fakes of apt and of the virtual environment."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.tools.fakes import fake_program
from tools import ROOT


@dataclass(frozen=True)
class Clone:
    """A clone's set-up files, and a log of what its set-up called."""

    directory: Path
    programs: Path

    @property
    def log(self) -> Path:
        return self.directory / "calls"

    def setup(self) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run it; returns the result and the calls it made, without those that only look."""
        self.log.write_text("")
        done = subprocess.run(
            [self.directory / "tools" / "setup"],
            env={"PATH": f"{self.programs}:{os.defpath}", "LOG": str(self.log)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        return done, [call for call in self.log.read_text().splitlines() if "--find" not in call]

    def fake(self, name: str, script: str) -> None:
        fake_program(self.programs, name, script)

    def installed_packages(self, *names: str) -> None:
        self.fake("dpkg-query", "\n".join(f"echo installed {name}" for name in names))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with everything missing but the files of the virtual environment itself; two packages are wanted."""
    clone = Clone(tmp_path / "clone", tmp_path / "programs")
    (clone.directory / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "setup", clone.directory / "tools" / "setup")
    (clone.directory / "tools" / "packages.txt").write_text("# why\nqemu  # guests\nnftables\n")
    (clone.directory / "requirements.lock").write_text("click==8\n")
    (clone.directory / "pyproject.toml").write_text("[project]\n")
    fake_program(clone.directory / ".venv" / "bin", "python", 'echo "python $*" >>"$LOG"')
    (clone.directory / ".venv" / "pyvenv.cfg").write_text(f"command = python3 -m venv {clone.directory}/.venv\n")
    clone.fake("id", "echo 0")
    clone.fake("apt-get", 'echo "apt-get $*" >>"$LOG"; echo installed qemu >>"$LOG.packages"')
    clone.installed_packages("qemu", "nftables")
    return clone


def test_second_run_installs_nothing(clone: Clone) -> None:
    first, calls = clone.setup()
    assert first.returncode == 0, first.stderr
    assert any("--require-hashes -r requirements.lock" in call for call in calls)
    second, calls = clone.setup()
    assert second.returncode == 0
    compiled = "python -m compileall -q wgnode pulumi_wgnode infra lab tools tests"  # what has changed of them
    assert (calls, second.stdout, second.stderr) == ([compiled], "", "")


def test_only_missing_packages_are_installed(clone: Clone) -> None:
    clone.fake("dpkg-query", 'echo installed nftables; cat "$LOG.packages" 2>/dev/null')
    done, calls = clone.setup()
    assert done.returncode == 0, done.stderr
    apt = [call.split(" -o Dpkg::Use-Pty=0 ")[1] for call in calls if call.startswith("apt-get")]
    assert apt == ["update", "install --no-install-recommends qemu"]


def test_removed_package_counts_as_missing(clone: Clone) -> None:
    clone.fake("dpkg-query", 'echo config-files qemu; echo installed nftables; cat "$LOG.packages" 2>/dev/null')
    assert "install --no-install-recommends qemu" in clone.setup()[1][1]


def test_package_that_apt_did_not_install_fails_by_name(clone: Clone) -> None:
    clone.installed_packages("qemu")
    done, _ = clone.setup()
    assert done.returncode == 1
    assert "apt-get did not install nftables" in done.stderr


def test_changed_lock_installs_again(clone: Clone) -> None:
    clone.setup()
    (clone.directory / "requirements.lock").write_text("click==9\n")
    assert any("--require-hashes" in call for call in clone.setup()[1])


def test_failed_installation_is_tried_again(clone: Clone) -> None:
    python = clone.directory / ".venv" / "bin" / "python"
    works = python.read_text()
    fake_program(python.parent, "python", 'case "$*" in *require-hashes*) exit 1 ;; esac')
    assert clone.setup()[0].returncode == 1
    python.write_text(works)
    done, calls = clone.setup()
    assert done.returncode == 0
    assert any("--require-hashes" in call for call in calls)


def test_ordinary_user_installs_packages_by_sudo_and_without_a_terminal_never_asks(clone: Clone) -> None:
    clone.fake("dpkg-query", 'echo installed nftables; cat "$LOG.packages" 2>/dev/null')
    clone.fake("id", "echo 1000")
    clone.fake("sudo", 'echo "sudo $*" >>"$LOG"; echo installed qemu >>"$LOG.packages"')
    _, calls = clone.setup()
    as_root = [call for call in calls if call.startswith("sudo")]
    assert len(as_root) == 2
    assert all(call.startswith("sudo -n env DEBIAN_FRONTEND=noninteractive apt-get") for call in as_root)
    assert not any(call.startswith("apt-get") for call in calls)


def test_progress_of_pip_is_a_line_every_few_packages_and_its_errors_stay(clone: Clone) -> None:
    (clone.directory / "requirements.lock").write_text(
        "".join(f"p{number}==1 \\\n    # via p\n" for number in range(40))
    )
    script = "for n in $(seq 40); do echo Collecting p$n; echo '  Downloading p'; done; echo Built odd; echo why >&2"
    fake_program(clone.directory / ".venv" / "bin", "python", f'case "$*" in *require-hashes*) {script} ;; esac')
    said = clone.setup()[0].stderr.splitlines()
    assert "why" in said
    assert [line for line in said if line != "why"] == [
        "== virtual environment: installing what requirements.lock pins into .venv",
        "   15 of 40 packages fetched",
        "   30 of 40 packages fetched",
        "Built odd",
        "== virtual environment: this clone's own package",
    ]


def test_an_ordinary_users_make_finds_the_tools_for_administration() -> None:
    done = subprocess.run(
        ["make", "--silent", "--eval", "shown:; @echo $$PATH", "shown"],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "/usr/bin:/bin:/usr/sbin:/sbin"
