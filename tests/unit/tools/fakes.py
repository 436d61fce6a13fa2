"""Fake programs, on which the tests of set-up's choices run; set-up itself knows nothing of them."""

from pathlib import Path


def fake_program(directory: Path, name: str, script: str) -> Path:
    """An executable shell script `name` in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def fake_engine(directory: Path, version: str, *, language_host: bool = True) -> Path:
    """A directory with a `pulumi` that only knows its version."""
    fake_program(directory, "pulumi", f"echo {version}")
    if language_host:
        fake_program(directory, "pulumi-language-python", "exit 1")
    return directory
