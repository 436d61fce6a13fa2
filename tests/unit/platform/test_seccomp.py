"""The filter as the kernel reads it, by a machine of five instructions; and the kernel's own verdicts, in a process."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Sequence

import pytest

from wgnode.platform.linux import seccomp
from wgnode.platform.linux.calls import NUMBERS
from wgnode.platform.linux.seccomp import ABSENT, ALLOW, CALLS, DEADLY, ERRNO, KILL, LIMITED, LOG, program

REFUSED, UNKNOWN = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
EVERYWHERE = pytest.mark.parametrize("machine", NUMBERS)


def verdict(
    call: int | str, *arguments: int, machine: str = "x86_64", of: int | None = None, code: bytes | None = None
) -> int:
    """What the program returns for a call: classic BPF over struct seccomp_data (seccomp(2))."""
    number = call if isinstance(call, int) else NUMBERS[machine][call]
    audited = seccomp.AUDIT_ARCHITECTURES[machine] if of is None else of
    data = struct.pack("=IIQ6Q", number, audited, 0, *(*arguments, *[0] * (6 - len(arguments))))
    filters = list(struct.iter_unpack("=HBBI", code or program(machine=machine)))
    accumulator, at = 0, 0
    while True:
        kind, if_true, if_false, value = filters[at]
        at += 1
        if kind == seccomp.RETURN:
            return int(value)
        if kind == seccomp.LOAD:
            (accumulator,) = struct.unpack_from("=I", data, value)
        else:
            judge = {
                seccomp.EQUAL: accumulator == value,
                seccomp.AT_LEAST: accumulator >= value,
                seccomp.ANY_BIT: bool(accumulator & value),
            }
            at += if_true if judge[kind] else if_false


def listed(machine: str) -> list[int]:
    """All that has a verdict of its own, on a processor that may lack some that nobody may call."""
    numbers = NUMBERS[machine]
    return [numbers[name] for name in (*CALLS, *LIMITED, *ABSENT, *DEADLY) if name in numbers or name not in DEADLY]


@EVERYWHERE
@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_the_node_passes_whatever_its_arguments(machine: str, name: str) -> None:
    assert verdict(name, *[0xFFFFFFFFFFFFFFFF] * 6, machine=machine) == ALLOW


@EVERYWHERE
@pytest.mark.parametrize("name", DEADLY)
def test_what_only_an_attacker_would_try_ends_the_process(machine: str, name: str) -> None:
    if name in NUMBERS[machine]:
        assert verdict(name, machine=machine) == KILL
    else:
        assert (machine, name) in {("aarch64", old) for old in ("fork", "vfork", "iopl", "ioperm")}


@EVERYWHERE
def test_each_call_is_judged_once(machine: str) -> None:
    assert len(listed(machine)) == len(set(listed(machine)))


@EVERYWHERE
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("mmap", (0, 4096, 0b011), ALLOW),
        ("mmap", (0, 4096, 0b101), REFUSED),
        ("mprotect", (0, 4096, 0b111), REFUSED),
        ("mprotect", (0, 4096, 0b001), ALLOW),
        ("clone", (0x003D0F00,), ALLOW),
        ("clone", (signal.SIGCHLD,), REFUSED),
        ("openat", (0, 0, os.O_RDWR | os.O_CLOEXEC), ALLOW),
        ("openat", (0, 0, os.O_WRONLY | os.O_CREAT), REFUSED),
        ("socket", (2,), ALLOW),
        ("socket", (1,), REFUSED),
        ("socket", (40,), REFUSED),  # AF_VSOCK
        ("reboot", (0, 0, seccomp.RB_AUTOBOOT), ALLOW),
        ("reboot", (0, 0, 0x45584543), REFUSED),  # LINUX_REBOOT_CMD_KEXEC
        ("prlimit64", (0, 7, 0), ALLOW),
        ("prlimit64", (0, 7, 0x7FFC00001000), REFUSED),
        ("prctl", (15,), ALLOW),  # PR_SET_NAME
        ("prctl", (38,), REFUSED),
    ],
)
def test_some_pass_by_their_arguments(machine: str, name: str, arguments: Sequence[int], expected: int) -> None:
    assert verdict(name, *arguments, machine=machine) == expected


@EVERYWHERE
def test_all_else_is_refused_or_logged_where_that_is_asked_for(machine: str) -> None:
    others = [number for number in range(470) if number not in listed(machine)]
    assert {verdict(number, machine=machine) for number in others} == {REFUSED}
    assert {verdict(number, machine=machine, code=program(LOG, machine=machine)) for number in others} == {LOG}
    assert verdict("clone3", machine=machine) == UNKNOWN


@pytest.mark.parametrize(("machine", "other"), [("x86_64", 0x40000003), ("aarch64", 0x40000028)])  # i386, arm
def test_calls_of_another_architecture_end_the_process(machine: str, other: int) -> None:
    assert verdict(0, machine=machine, of=other) == KILL
    assert verdict("read", machine=machine, of=seccomp.AUDIT_ARCHITECTURES[machine]) == ALLOW
    assert verdict(seccomp.X32) == verdict(seccomp.X32 | 59) == KILL


BEGIN = """
import ctypes, mmap, os, socket, sys, threading
from wgnode.platform.linux import capabilities, seccomp
barrier = threading.Barrier(2)
def refused(what):
    try:
        what()
    except OSError as error:
        return error.errno
    return 0
answers = []
def beside():
    barrier.wait()
    answers.append(refused(lambda: socket.socket(socket.AF_UNIX)))
other = threading.Thread(target=beside)
other.start()
capabilities.no_new_privileges()
seccomp.install(seccomp.program())
barrier.wait()
other.join()
"""
TRIES = """
answers.append(refused(lambda: socket.socket(socket.AF_UNIX)))
answers.append(refused(lambda: os.open("/tmp/new-file", os.O_CREAT | os.O_WRONLY)))
answers.append(refused(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)))
answers.append(refused(os.fork))
more = threading.Thread(target=lambda: answers.append(refused(lambda: os.open("/dev/null", os.O_RDWR))))
more.start()
more.join()
print(answers, [line.split()[1] for line in open("/proc/self/status") if line.startswith(("NoNewPrivs", "Seccomp:"))])
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_the_kernel_holds_it_in_all_threads_and_the_interpreter_works_on() -> None:
    done = run(BEGIN + TRIES)
    assert done.stdout == "[1, 1, 1, 1, 1, 0] ['1', '2']\n", done.stderr


def test_what_is_executed_ends_the_process() -> None:
    done = run(BEGIN + "os.execv('/bin/true', ['true'])")
    assert done.returncode == -signal.SIGSYS, done.stderr


def test_another_processor_has_no_filter_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        machine = "riscv64"

    monkeypatch.setattr(seccomp.os, "uname", Elsewhere)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: pytest.fail("installed it"))
    with pytest.raises(OSError, match="no filter is made for riscv64"):
        seccomp.install(program())
