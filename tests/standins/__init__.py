"""TEST ONLY: programs that stand in for what can't be downloaded everywhere."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent


def install_command(pulumi_home: Path) -> None:
    """Make the stand-in the pulumi-command plugin of a Pulumi home, at the version that the SDK asks for."""
    folder = pulumi_home / "plugins" / f"resource-command-v{version('pulumi-command')}"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "pulumi-resource-command"
    program.unlink(missing_ok=True)
    program.symlink_to(HERE / "command" / "pulumi-resource-command")
