"""Kernel settings by /proc/sys."""

from __future__ import annotations


def write_sysctl(key: str, value: str | int) -> None:
    """Set "net/ipv4/ip_forward" (slashes, because interface names may have dots). Raises OSError."""
    with open(f"/proc/sys/{key}", "w") as setting:
        setting.write(f"{value}\n")


def read_sysctl(key: str) -> str:
    with open(f"/proc/sys/{key}") as setting:
        return setting.read().strip()
