"""What machine and which programs figures were taken on."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from tools import ROOT, go_tools, rust

AVX512 = frozenset({"avx512f", "avx512bw", "avx512vl"})


def describe() -> dict[str, str]:
    """For the heading of a report."""
    cpu = Path("/proc/cpuinfo").read_text()
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": f"{_of_cpu(cpu, 'model name')}, {os.cpu_count()} processors",
        "avx512": "yes" if set(_of_cpu(cpu, "flags").split()) >= AVX512 else "no",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "wgnode": _commit(),
        "wireguard-go": go_tools.TOOLS["wireguard-go"].version,
        **{name: crate.version for name, crate in rust.CRATES.items()},
    }


def _of_cpu(cpu: str, name: str) -> str:
    match = re.search(rf"^{name}\s*:\s*(.*)$", cpu, re.MULTILINE)
    return match[1] if match else "unknown"


def _commit() -> str:
    """Of this clone, which root may look at though it is another user's."""
    words = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
