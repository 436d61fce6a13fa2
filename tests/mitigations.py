"""`make mitigations`: what protects a gateway and a stock Debian guest, as both tell it; a table in Markdown.

Both run under QEMU at the same time; programs and libraries are looked at in the image and in Debian's file system.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests import debian_guest
from tests.lab import facts
from tests.lab.guest import BOOT
from tests.lab.inside import FACTS, AttackedHost, debug_image, waits_for
from wgnode.image import compared
from wgnode.image.archive import Members, read_members
from wgnode.image.best import build_best

PATIENCE = 5 * BOOT
Facts = dict[str, Any]


def measured(shipped: Members, directory: Path) -> tuple[Facts, Facts]:
    """Of the gateway and of Debian."""
    host = AttackedHost(directory, debug_image(shipped, FACTS))
    debian, console = debian_guest.ensure(), directory / "debian"
    try:
        host.up()
        host.inside("host", "ip tuntap add deb mode tap", "ip link set deb up")
        gateway = host.boot()
        gateway.run(debian_guest.command(debian, "deb", console, Path(facts.__file__)))
        both = [lambda: told(gateway.console), lambda: told(console.read_text(errors="replace"))]
        for one in both:
            assert waits_for(lambda one=one: one() is not None, PATIENCE), gateway.console[-500:]
        gateways, debians = (one() for one in both)
        assert gateways is not None
        assert debians is not None
    finally:
        host.down()
    with tempfile.TemporaryDirectory() as unpacked:
        gateways["programs"] = programs(written(shipped, Path(unpacked)))
    debians["programs"] = programs(elf_files(debian.root))
    return gateways, debians


def told(console: str) -> Facts | None:
    found = re.search(r"^FACTS (\{.*\})$", console.replace("\r", ""), re.MULTILINE)
    return json.loads(found[1]) if found else None


def written(shipped: Members, directory: Path) -> Iterator[Path]:
    for number, (_, entry) in enumerate(compared.files(shipped)):
        if entry.data[:4] == b"\x7fELF" and entry.mode & 0o111:
            (file := directory / str(number)).write_bytes(entry.data)
            yield file


def elf_files(root: Path) -> Iterator[Path]:
    for folder in ("usr/bin", "usr/sbin", "usr/lib/systemd", "usr/lib/x86_64-linux-gnu"):
        for file in sorted((root / folder).rglob("*")):
            if file.is_file() and not file.is_symlink() and file.stat().st_mode & 0o444:
                with file.open("rb") as content:
                    if content.read(4) == b"\x7fELF":
                        yield file


def programs(files: Iterable[Path]) -> dict[str, int]:
    """How many there are, and how many have each of what their linker and compiler can give."""
    counted = dict.fromkeys(("all", "pie", "relro", "now", "stack", "canary"), 0)
    for file in files:
        said = subprocess.run(
            ["readelf", "-hldW", "--dyn-syms", file], capture_output=True, text=True, check=False
        ).stdout
        stack = next((line for line in said.splitlines() if "GNU_STACK" in line), "")
        counted["all"] += 1
        counted["pie"] += "Type:                              DYN" in said
        counted["relro"] += "GNU_RELRO" in said
        counted["now"] += "BIND_NOW" in said or bool(re.search(r"FLAGS_1.*NOW", said))
        counted["stack"] += "RWE" not in stack
        counted["canary"] += "__stack_chk" in said
    return counted


def of(name: str) -> Callable[[Facts], str]:
    return lambda facts: f"{facts['programs'][name]} of {facts['programs']['all']}"


def setting(name: str) -> Callable[[Facts], str]:
    return lambda facts: f"`{facts['settings'][name]}`"


def capabilities(facts: Facts) -> str:
    held, most = (int(facts["status"][name], 16).bit_count() for name in ("CapEff", "CapBnd"))
    return f"{held}, at most {most}"


def listed(facts: Facts) -> str:
    mounts = facts["writable mounts"]
    return ", ".join(mounts[:6]) + (f" and {len(mounts) - 6} more" if len(mounts) > 6 else "") or "none"


def yes(name: str) -> Callable[[Facts], str]:
    return lambda facts: "yes" if facts[name] else "no"


ROWS: dict[str, Callable[[Facts], str]] = {
    "kernel": lambda facts: facts["kernel"],
    "programs' addresses are random (`kernel.randomize_va_space`, 2 is all)": setting("kernel/randomize_va_space"),
    "programs and libraries that can lie anywhere (PIE)": of("pie"),
    "whose tables are read-only once linked (RELRO)": of("relro"),
    "all of them, from the start (BIND_NOW)": of("now"),
    "whose stack is no code": of("stack"),
    "that watch their stack (canaries)": of("canary"),
    "process 1: memory that is both written and code": lambda facts: str(facts["writable and executable mappings"]),
    "such memory can be made": yes("makes code"),
    "a new file can be written and started": yes("runs a new file"),
    "process 1: seccomp (2 is a filter)": lambda facts: f"`{facts['status']['Seccomp']}`",
    "process 1: no new privileges": lambda facts: f"`{facts['status']['NoNewPrivs']}`",
    "process 1: capabilities": capabilities,
    "modules can be loaded no more (`modules_disabled`)": setting("kernel/modules_disabled"),
    "another kernel can be started no more (`kexec_load_disabled`)": setting("kernel/kexec_load_disabled"),
    "kernel lockdown": lambda facts: f"`{facts['lockdown']}`",
    "ptrace (`yama.ptrace_scope`, 3 is nobody)": setting("kernel/yama/ptrace_scope"),
    "io_uring (2 is off)": setting("kernel/io_uring_disabled"),
    "user namespaces, at most": setting("user/max_user_namespaces"),
    "perf events (`perf_event_paranoid`)": setting("kernel/perf_event_paranoid"),
    "kernel addresses hidden (`kptr_restrict`, 2 from root too)": setting("kernel/kptr_restrict"),
    "bpf by users (`unprivileged_bpf_disabled`)": setting("kernel/unprivileged_bpf_disabled"),
    "mounted writable": listed,
    "processes": lambda facts: str(facts["processes"]),
    "files that can be started": lambda facts: str(facts["executables"]),
    "of these with their owner's rights (setuid)": lambda facts: str(facts["setuid"]),
}


def table(gateway: Facts, debian: Facts) -> str:
    lines = ["| | gateway | Debian guest |", "|---|---|---|"]
    return (
        "\n".join([*lines, *(f"| {name} | {read(gateway)} | {read(debian)} |" for name, read in ROWS.items())]) + "\n"
    )


def main() -> None:
    shipped = read_members(Path(build_best(renew_if_gone=True).path))
    with tempfile.TemporaryDirectory(prefix="wgnode-mitigations-") as work:
        print(table(*measured(shipped, Path(work))))


if __name__ == "__main__":
    main()
