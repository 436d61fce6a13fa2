"""What systemd says of how much a service could do: `systemd-analyze security`, of a unit's text alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

_ANALYZE = shutil.which("systemd-analyze")
judged = pytest.mark.skipif(_ANALYZE is None, reason="no systemd-analyze here")


def exposure(service: str, folder: Path) -> float:
    """0 is nothing, 10 all."""
    file = folder / "wgnode-gateway.service"
    file.write_text(service)
    argv = [_ANALYZE or "", "security", "--offline=yes", "--no-pager", "--threshold=20", str(file)]
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = re.search(r"exposure level for \S+: (\d+\.\d+)", said.stdout)
    assert found, said.stderr
    return float(found[1])
