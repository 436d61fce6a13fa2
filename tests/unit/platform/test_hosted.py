"""A gateway that is a process: what it keeps, and that a filter of system calls counts only if it is its own."""

from __future__ import annotations

import subprocess
import sys
import time

from wgnode.image.backends.process import CAPABILITIES
from wgnode.platform.linux import capabilities, seccomp
from wgnode.platform.linux.hosted import KEPT, MEASURES, Hosted

OWN_FILTER = """
from wgnode.platform.linux import capabilities, seccomp
from wgnode.platform.linux.hosted import Filter
capabilities.no_new_privileges()
seccomp.install(seccomp.program(seccomp.ALLOW))
of_another = Filter()
print(of_another.read())
try:
    of_another.install()
finally:
    print(of_another.read())
"""


def test_its_unit_gives_it_just_the_capabilities_that_it_reads_back() -> None:
    names = {capabilities.NET_ADMIN: "CAP_NET_ADMIN", capabilities.NET_RAW: "CAP_NET_RAW"}
    names[capabilities.NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE"
    assert {names[number] for number in KEPT} == set(CAPABILITIES.split())
    assert [measure.wanted for measure in MEASURES if measure.name == "capabilities"] == ["0000000000003400"]


def test_it_goes_by_its_hosts_clocks_as_its_compiled_plane_does_and_sets_none() -> None:
    made = Hosted("/nowhere")
    assert made.set_clock is None
    assert abs(made.now() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5


def test_a_filter_that_another_has_installed_is_not_taken_for_its_own() -> None:
    """systemd's own filters make `Seccomp: 2` too."""
    done = subprocess.run([sys.executable, "-c", OWN_FILTER], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == ["not ours", "2"], done.stderr


def test_its_filter_has_one_call_more_than_a_machines() -> None:
    more = seccomp.program(calls=(*seccomp.CALLS, *seccomp.OF_A_LISTENER))
    assert len(more) == len(seccomp.program()) + 16
    assert not set(seccomp.OF_A_LISTENER) & set(seccomp.CALLS)
