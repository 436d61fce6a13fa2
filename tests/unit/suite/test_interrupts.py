"""Programs that tests start can be interrupted, wherever the tests themselves were started."""

from __future__ import annotations

import subprocess
import sys

from tools import ROOT

BACKGROUND = """
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
{first}
child = subprocess.run([sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT))"])
"""


def children_have(first: str) -> str:
    """What SIGINT does to the children of a Python that was started with SIGINT ignored."""
    code = BACKGROUND.format(first=first)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_tests_in_the_background_start_children_that_can_be_interrupted() -> None:
    assert "default_int_handler" not in children_have("")
    assert "default_int_handler" in children_have("from tests import conftest; conftest.heed_interrupts()")
