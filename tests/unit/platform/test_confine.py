"""What the gateway's machine gives up: read back, told where it does not hold, and never a reason not to run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wgnode.platform.linux import capabilities, confine
from wgnode.platform.linux.confine import Measure


def fails() -> None:
    raise OSError(22, "Invalid argument")


def broken() -> str:
    raise FileNotFoundError(2, "No such file or directory")


def test_what_holds_is_told_by_its_value_and_what_does_not_is_warned_of_with_its_reason() -> None:
    warnings: list[str] = []
    done: list[str] = []
    found = confine.confine(
        warnings.append,
        [
            Measure("holds", lambda: done.append("a"), lambda: "1", "1"),
            Measure("fails", fails, lambda: "0", "2"),
            Measure("ignored", lambda: done.append("b"), lambda: "0", "3"),
            Measure("unread", lambda: done.append("c"), broken, "1"),
            Measure("held before", fails, lambda: "1", "1"),
        ],
    )
    assert done == ["a", "b", "c"]
    assert found.values == {"holds": "1", "fails": "0", "ignored": "0", "unread": "unknown", "held before": "1"}
    assert found.lacking == ("fails", "ignored", "unread")
    assert warnings == [
        "confinement: fails is 0: [Errno 22] Invalid argument",
        "confinement: ignored is 0",
        "confinement: unread is unknown",
        "confinement: held before is 1: [Errno 22] Invalid argument",
    ]


def test_the_filter_comes_last_and_what_needs_privileges_before_them() -> None:
    names = [measure.name for measure in confine.MEASURES]
    assert names[-3:] == ["capabilities", "no-new-privileges", "seccomp"]
    assert len(names) == len(set(names))


def test_what_the_kernel_hands_on_of_its_command_line_it_does_not_know() -> None:
    line = "console=ttyS0 quiet lockdown=integrity WGNODE_DATAPLANE=python tsc_early_khz=1"
    assert confine.unknown_words(line, {"HOME": "/", "WGNODE_DATAPLANE": "python"}) == "known"
    assert confine.unknown_words(line, {"lockdown": "integrity", "tsc_early_khz": "1"}) == "lockdown+tsc_early_khz"


def test_file_systems_that_can_be_written_to_are_named() -> None:
    both = "rootfs / rootfs ro,size=1k 0 0\nproc /proc proc ro,nosuid 0 0\n"
    assert confine.mounts(both) == "read-only"
    assert confine.mounts(both + "devtmpfs /dev devtmpfs rw,size=ro 0 0\n") == "/dev"


def test_the_chosen_one_is_in_brackets() -> None:
    assert confine.chosen("none [integrity] confidentiality\n") == "integrity"
    with pytest.raises(ValueError, match="substring not found"):
        confine.chosen("")


def test_capabilities_are_kept_by_name_and_all_others_go() -> None:
    kept = capabilities.mask(capabilities.KEPT)
    assert f"{kept:016x}" == "0000000002403400"
    assert set(capabilities.dropped(capabilities.KEPT, 40)) | set(capabilities.KEPT) == set(range(41))
    assert capabilities.sets(kept) == [kept, kept, 0, 0, 0, 0]
    assert capabilities.sets(1 << 40) == [0, 0, 0, 1 << 8, 1 << 8, 0]


DROP = """
from wgnode.platform.linux import capabilities, confine
capabilities.keep_only()
print(confine.status("CapPrm", "CapEff", "CapBnd")(), confine.status("NoNewPrivs", "CapInh")())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to drop")
def test_the_kernel_has_them_no_more() -> None:
    done = subprocess.run([sys.executable, "-c", DROP], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "0000000002403400 0+0000000000000000\n", done.stderr
