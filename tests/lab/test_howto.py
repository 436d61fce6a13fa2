"""The how-to pages, followed word by word: each ```sh block of them is run in order, from the lab's runner."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.api import Lab
from lab.deployment import IMAGE
from lab.plan import RUNNER
from tools import ROOT

pytestmark = [pytest.mark.lab, pytest.mark.in_turn("trouble")]

PAGES = ROOT / "docs" / "how-to"
_BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    """Its commands, without the indentation of a list."""
    found = _BLOCK.findall((PAGES / page).read_text())
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


class Reader:
    """Somebody at the runner with a project folder of their own, a home with an SSH key, and a backend."""

    def __init__(self, lab: Lab, folder: Path, environment: dict[str, str]) -> None:
        self.lab, self.folder = lab, folder / "project"
        (self.folder / "stacks").mkdir(parents=True)
        for name in ("infra", "plugin", "Pulumi.yaml", "pyproject.toml", ".venv"):
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / "build" / "image").mkdir(parents=True)
        (self.folder / "build" / "image" / "appliance.tar").symlink_to(IMAGE)
        home = folder / "home"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        for name in ("id_ed25519", "id_ed25519_new"):  # the host knows one key of ours; as a new one it does as well
            (home / ".ssh" / name).write_text(Path(lab.inventory["ssh_key"]).read_text())
        self.environment = {**environment, "HOME": str(home), "PWD": str(self.folder)}

    def follow(self, page: str) -> str:
        """Run the page's blocks one after the other; what they said."""
        said = []
        for block in blocks(page):
            done = subprocess.run(
                self.lab.argv_in(RUNNER, ["bash", "-euc", block]),
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=600,
                check=False,
            )
            said.append(f"{block}{done.stdout}")
            assert done.returncode == 0, said[-1]
        return "\n".join(said)


@pytest.fixture
def reader(lab: Lab, tmp_path: Path, pulumi_environment: Callable[..., dict[str, str]]) -> Iterator[Reader]:
    made = Reader(lab, tmp_path, pulumi_environment())
    try:
        yield made
    finally:
        for site in ("paris", "rome"):
            argv = ["pulumi", "destroy", "--yes", "--non-interactive", "--stack", f"prod-{site}"]
            subprocess.run(
                lab.argv_in(RUNNER, argv), cwd=made.folder, env=made.environment, capture_output=True, check=False
            )


def test_the_pages_work_word_by_word_one_after_the_other(lab: Lab, reader: Reader) -> None:
    said = reader.follow("first-mesh.md")
    assert lab.ping("cabin.client", "10.1.0.100", count=2, deadline=30)
    assert "rome" in said
    with lab.stream("cabin.client", "10.1.0.100") as pings:
        said += reader.follow("add-a-site.md")
    assert pings.lost == 0
    assert "oslo" in said
    keys = lab.host_ssh("berlin", "wg show paris peers").stdout
    said += reader.follow("change-a-key.md")
    assert lab.ping("cabin.client", "10.1.0.100", count=2, deadline=30)
    assert lab.host_ssh("berlin", "wg show paris peers").stdout != keys, "rome has another key"
    print(said)
